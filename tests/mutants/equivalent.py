"""Mutants that change nothing, by name, each with the reason; a name that is not made fails."""

EQUIVALENT = {
    "engine.admissions assistants_clear_at: dropped": "take_places writes all four",
    "engine.admissions day_clear_at: dropped": "take_places writes all four",
    "engine.admissions minute_clear_at: dropped": "take_places writes all four",
    "engine.admissions sessions_clear_at: dropped": "take_places writes all four",
    "engine.runs is_early: true": "the trigger tell_early turns it where it is wrong",
    "engine.runs priority: 1": "runs are compared with each other, never with a number",
    "public.assistants updated_at: dropped": "the trigger check_assistant sets it",
}
