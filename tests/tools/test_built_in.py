"""Dice and the map."""

from typing import Any

import pytest

from backend.ports.clock import SystemClock
from backend.tools.builtin.dice import dice
from backend.tools.builtin.maps import MAP_TOOLS
from tests.support.manual_clock import ManualClock
from tests.tools.calling import call

MAP = {tool.definition.name: tool for tool in MAP_TOOLS}
RING = [[0, 0], [0, 4], [3, 4]]


async def test_dice_show_what_chance_says_and_add_up() -> None:
    outcome = await call(dice(ManualClock()), sides=20, count=3, modifier=-2)
    assert outcome.output == {"rolls": [11, 11, 11], "modifier": -2, "total": 31}


async def test_every_side_and_no_other_comes_up() -> None:
    outcome: Any = await call(dice(SystemClock()), sides=2, count=100)
    assert set(outcome.output["rolls"]) == {1, 2}


@pytest.mark.parametrize("wrong", [{"sides": 1}, {"count": 101}, {"count": 1.5}, {"die": 6}])
async def test_dice_that_nobody_has_are_not_rolled(wrong: dict[str, Any]) -> None:
    assert (await call(dice(ManualClock()), **wrong)).is_error


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("map_set_marker", {"id": "hero", "label": "Ada", "x": 1, "y": -2.5, "kind": "hero"}),
        ("map_set_marker", {"id": "hero", "label": "", "x": 0, "y": 0}),
        ("map_set_area", {"id": "hall", "label": "Hall", "tone": "danger", "ring": RING}),
        ("map_remove", {"id": "hero"}),
        ("map_focus", {"id": "hero"}),
        ("map_focus", {"bounds": [[0, 0], [9, 9]]}),
    ],
)
async def test_what_can_be_drawn_is_drawn(name: str, drawn: dict[str, Any]) -> None:
    assert not (await call(MAP[name], **drawn)).is_error


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("map_set_marker", {"id": "hero", "label": "Ada", "x": 1}),
        ("map_set_marker", {"id": "hero", "label": "Ada", "x": "1", "y": 2}),
        ("map_set_marker", {"id": "hero", "label": "Ada", "x": 1e300, "y": 2}),
        ("map_set_marker", {"id": "<b>", "label": "Ada", "x": 1, "y": 2}),
        ("map_set_marker", {"id": "hero\n", "label": "Ada", "x": 1, "y": 2}),
        ("map_set_area", {"id": "hall", "label": "Hall", "ring": RING[:2]}),
        ("map_set_area", {"id": "hall", "label": "Hall", "ring": [[0, 0, 0]] * 3}),
        ("map_set_area", {"id": "hall", "label": "Hall", "ring": RING * 500}),
        ("map_set_area", {"id": "hall", "label": "Hall", "ring": RING, "tone": "url(x)"}),
        ("map_remove", {}),
        ("map_focus", {}),
        ("map_focus", {"id": "hero", "bounds": [[0, 0], [9, 9]]}),
    ],
)
async def test_what_cannot_be_drawn_is_told_to_the_model(name: str, wrong: dict[str, Any]) -> None:
    assert (await call(MAP[name], **wrong)).is_error
