"""A place in a session's events."""

import re
from dataclasses import dataclass

from backend.domain.events import ENDINGS
from backend.domain.ids import RunId
from backend.domain.json_values import JsonObject
from backend.errors import RequestInvalid

_END = 2_147_483_647
_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9]{1,9}|end)")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind one event of a run, or behind all of them."""

    run_id: RunId | None = None
    """None before the session's first run."""
    after: int = 0


def cursor_of(event_id: str | None) -> Cursor:
    """Return the place behind the event.

    Args:
        event_id: `<run>:<seq>`, `<run>:end`, or None for the beginning.

    Raises:
        RequestInvalid: It has another form.
    """
    if event_id is None:
        return Cursor()
    if (parts := _ID.fullmatch(event_id)) is None:
        raise RequestInvalid("Last-Event-ID is a run's id, a colon, and a number or `end`.")
    run, place = parts.groups()
    return Cursor(RunId(run), _END if place == "end" else int(place))


def behind(event: JsonObject) -> Cursor:
    """Return the place behind the event; behind a run's last one, the place behind the run."""
    if event["type"] in ENDINGS:
        return Cursor(RunId(str(event["run_id"])), _END)
    return cursor_of(id_of(event))


def id_of(event: JsonObject) -> str:
    """Return the id by which a reader says that it has seen the event."""
    seq = event["seq"]
    return f"{event['run_id']}:{'end' if seq is None else seq}"
