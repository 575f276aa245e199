"""The service's own functions, put together."""

from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.tools import Toolbox
from backend.tools.builtin import maps
from backend.tools.builtin.dice import dice
from backend.tools.builtin.search import database_search
from backend.tools.toolbox import Offered, OfferedTools


def toolbox(gateway: Gateway, clock: Clock) -> Toolbox:
    """Return the tools that are there without a setting."""
    places = (maps.map_set_marker, maps.map_set_area, maps.map_remove, maps.map_focus)
    made = (dice(clock), database_search(gateway), *places)
    return OfferedTools(Offered(tool, open_to_users=tool.open_to_users) for tool in made)
