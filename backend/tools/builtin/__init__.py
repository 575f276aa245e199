"""The tools that are there without a setting; assistants that users made may use them, too.

dice.py     roll_dice
maps.py     map_set_marker, map_set_area, map_remove, map_focus
search.py   search_database
weather.py  get_weather
"""
