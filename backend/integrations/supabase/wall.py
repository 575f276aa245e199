"""The wall that the migrations build, and how a database's own differs from it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from backend.domain.checks import Check, fails, holds, warns
from backend.errors import AssistantsError, SchemaMissing
from backend.ports.gateway import Gateway

Thing: TypeAlias = dict[str, Any]
"""What `engine.describe_wall` says of one thing: `kind`, `name`, and its aspects.

Ours also say where their truth is: `file`, and `grants_in` where grants are written elsewhere.
"""
Key: TypeAlias = tuple[str, str]

FILE = "wall.json"
"""Beside this module; written by `scripts/wall`."""
_THINGS = TypeAdapter(list[dict[str, Any]])
_TABLES = ("table", "view")
# The platform's tables: others have policies there, too, and some projects lack the tables.
_PLATFORM = ("realtime.", "storage.")
# Made by the operator, where the host allows it.
_OPTIONAL = ("role", "assistants_service")
# Its body is a setting: as the migrations leave it, no issuer is pinned.
_PINNED = ("view", "engine.pinned_issuer")
_IDENTITY = frozenset({"kind", "name", "file", "grants_in"})
_FROM = re.compile(r"\b(?:FROM|JOIN) \w+\.(\w+)|\) (\w+) WHERE ")
_MOST_SHOWN = 300


async def check_wall(gateway: Gateway, token_issuer: str | None) -> list[Check]:
    """Return one finding for each thing that differs, or that all is as the release has it.

    Args:
        gateway: With any identity: the catalogue is everybody's.
        token_issuer: What the settings say; the view that repeats it has to agree.
    """
    wanted = [_pinned(it, token_issuer) for it in promised()]
    try:
        said = await gateway.call("engine.describe_wall", {"p_public": public_names(wanted)})
        found = _THINGS.validate_python(said)
    except SchemaMissing as error:
        return [fails("wall", str(error), "Run `assistants migrate`.")]
    except AssistantsError as error:
        return [fails("wall", str(error), "Try again; then look at the database's logs.")]
    except ValidationError:
        advice = "Run `assistants migrate`."
        return [fails("wall", "the answer is none of engine.describe_wall", advice)]
    drift = list(compare(wanted, found))
    return drift or [holds("wall", f"{len(wanted)} things are as this release has them")]


def promised() -> list[Thing]:
    """Return every thing of this release's wall."""
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    return _THINGS.validate_json(text)


def public_names(things: Iterable[Thing]) -> list[str]:
    """Return the names that these things have in the schema `public`."""
    named = (it["name"] for it in things if it["kind"] in (*_TABLES, "function"))
    own = (name.partition(".")[2] for name in named if name.startswith("public."))
    return sorted({name.partition("(")[0] for name in own})


def compare(wanted: Iterable[Thing], found: Iterable[Thing]) -> Iterator[Check]:
    """Yield what is missing, what differs, and what nobody here knows, in the order of the wall."""
    ours = {_key(it): normalised(it) for it in wanted}
    there = {_key(it): normalised(it) for it in found}
    for key, thing in ours.items():
        if key in there:
            yield from _changes(thing, there[key])
        elif not _may_be_missing(key, there):
            yield fails(" ".join(key), "missing", _advice(thing))
    for key in there.keys() - ours.keys():
        yield from _unknown(there[key], ours)


def normalised(thing: Thing) -> Thing:
    """Return the thing as every version of PostgreSQL prints it."""
    spaced = {name: _spaced(value) for name, value in thing.items()}
    if thing["kind"] == "view" and "body" in spaced:
        # Until version 15 the columns of a single table or subquery carry its name.
        for names in _FROM.findall(spaced["body"]):
            spaced["body"] = re.sub(rf"(?<!\.)\b{''.join(names)}\.", "", spaced["body"])
    return spaced


def _pinned(thing: Thing, token_issuer: str | None) -> Thing:
    if _key(thing) != _PINNED or token_issuer is None:
        return thing
    literal = "'{}'".format(token_issuer.replace("'", "''"))
    return {**thing, "body": thing["body"].replace("NULL", literal)}


def _spaced(value: Any) -> Any:
    return re.sub(r"\s+", " ", value).strip() if isinstance(value, str) else value


def _key(thing: Thing) -> Key:
    return thing["kind"], thing["name"]


def _changes(wanted: Thing, found: Thing) -> Iterator[Check]:
    granted = list(_grants(found.get("grants", {}), wanted.get("grants", {})))
    if granted:
        yield fails(" ".join(_key(wanted)), "; ".join(granted), _advice(wanted, "grants_in"))
    said = []
    for aspect in sorted((wanted.keys() | found.keys()) - _IDENTITY - {"grants"}):
        is_now, should = found.get(aspect), wanted.get(aspect)
        if is_now == should:
            continue
        if aspect == "body" and wanted["kind"] == "function":
            said.append("its body is another")
        else:
            said.append(f"{aspect} is {_shown(is_now)}, and should be {_shown(should)}")
    if said:
        yield fails(" ".join(_key(wanted)), "; ".join(said), _advice(wanted))


def _grants(is_now: Mapping[str, str], should: Mapping[str, str]) -> Iterator[str]:
    for role in sorted(is_now.keys() | should.keys()):
        has, needs = set(is_now.get(role, "").split()), set(should.get(role, "").split())
        if more := sorted(has - needs):
            yield f"{role} may {', '.join(more)}, and should not"
        if less := sorted(needs - has):
            yield f"{role} may not {', '.join(less)}, and should"


def _unknown(thing: Thing, ours: Mapping[Key, Thing]) -> Iterator[Check]:
    kind, name = _key(thing)
    label = f"{kind} {name}"
    table = name.partition(": ")[0] if kind != "column" else name.rpartition(".")[0]
    of_ours = any((it, table) in ours for it in _TABLES) and not table.startswith(_PLATFORM)
    advice = "Nothing in this release makes it; drop it, or know why it is there."
    if kind == "policy" and of_ours:
        shown = _shown(thing.get("using", thing.get("check")))
        yield fails(label, f"unknown, for {', '.join(thing['roles'])}: {shown}", advice)
    elif kind == "trigger" and of_ours:
        found = "unknown: it sees every row that is written"
        is_theirs = name.startswith("public.")
        yield warns(label, found, advice) if is_theirs else fails(label, found, advice)
    elif kind == "column" and of_ours and thing.get("grants"):
        yield fails(label, f"unknown; {'; '.join(_grants(thing['grants'], {}))}", advice)
    elif kind == "function" or (kind in (*_TABLES, "sequence") and name.startswith("engine.")):
        yield fails(label, "unknown", advice)


def _may_be_missing(key: Key, there: Mapping[Key, Thing]) -> bool:
    kind, name = key
    table = name.partition(": ")[0]
    return key == _OPTIONAL or (
        name.startswith(_PLATFORM) and (kind == "table" or ("table", table) not in there)
    )


def _shown(value: Any) -> str:
    text = "nothing" if value in (None, [], "") else value
    text = text if isinstance(text, str) else json.dumps(text)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _advice(wanted: Thing, place: str = "file") -> str:
    return f"Compare it with supabase/{wanted.get(place) or wanted['file']}."
