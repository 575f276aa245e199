"""What counts as content: a description in Python and the database agree on every value."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.driving import driven, examples

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
_SCALARS = (
    st.none() | st.booleans() | st.integers(-1000, 1000) | _TEXT | st.sampled_from(["", " \n"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_KEYS = {
    "text": ["text"],
    "reasoning": ["text"],
    "citation": ["text"],
    "image": ["file_id", "url"],
    "file": ["file_id", "name"],
    "tool_call": ["call_id", "name", "arguments"],
    "tool_result": ["call_id", "output"],
    "audio": ["text"],
}


def _part_of(kind: str) -> st.SearchStrategy[Any]:
    """Return parts of this type, each field of which may be missing or of another kind."""
    fields = {key: st.just({}) if key == "arguments" else _TEXT for key in _KEYS[kind]}
    return st.fixed_dictionaries(
        {"type": st.just(kind)},
        optional={key: usual | usual | _VALUES for key, usual in fields.items()},
    )


_PARTS = st.sampled_from(sorted(_KEYS)).flatmap(_part_of) | st.fixed_dictionaries(
    {"type": _VALUES}, optional={"text": _TEXT}
)
_CONTENTS = st.lists(_PARTS, max_size=4) | st.lists(_PARTS | _VALUES, max_size=4) | _VALUES

_STRINGS = {
    "text": ["text"],
    "reasoning": ["text"],
    "citation": ["text"],
    "file": ["file_id"],
    "tool_call": ["call_id", "name"],
    "tool_result": ["call_id"],
}


def _is_part(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    if kind == "image":
        (given, *others) = [part[key] for key in ("file_id", "url") if key in part] or [None]
        return isinstance(given, str) and not others
    if not isinstance(kind, str) or kind not in _STRINGS:
        return False
    return (
        all(isinstance(part.get(key), str) for key in _STRINGS[kind])
        and (kind != "tool_call" or isinstance(part.get("arguments"), dict))
        and (kind != "tool_result" or "output" in part)
    )


def _is_content(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 256 and all(map(_is_part, value))


_USERS_FIELDS = {"type", "text", "file_id", "url", "detail", "name"}


def _users_parts(value: Any) -> list[Any] | None:
    """Return the parts that a user's message holds, or None where it is refused."""
    parts = [{"type": "text", "text": value}] if isinstance(value, str) else value
    if not _is_content(parts) or {part["type"] for part in parts} - {"text", "image", "file"}:
        return None
    fields = [field for part in parts for field in part.items()]
    if not all(name in _USERS_FIELDS and isinstance(value, str) for name, value in fields):
        return None
    says = [part for part in parts if part["type"] != "text" or part["text"].strip(" \t\r\n")]
    return parts if says else None


async def _checked(chat: Chat, value: Any) -> Any:
    try:
        return await chat.admin.fetchval("select engine.check_user_content($1)", value)
    except asyncpg.CheckViolationError:
        return None


def test_a_value_is_content_if_and_only_if_each_part_is_well_formed(database: Database) -> None:
    with driven(database) as (chat, run):

        @examples(400)
        @given(_CONTENTS.filter(lambda value: value is not None))
        def holds(value: Any) -> None:
            found = run(chat.admin.fetchval("select engine.is_content($1)", value))
            assert found is _is_content(value)

        holds()


def test_a_users_content_is_normalised_or_refused_with_23514(database: Database) -> None:
    with driven(database) as (chat, run):

        @examples(400)
        @given(_CONTENTS | _TEXT)
        def holds(value: Any) -> None:
            assert run(_checked(chat, value)) == _users_parts(value)

        holds()


def test_whatever_a_browser_sends_is_stored_as_content_or_refused_with_23514(
    database: Database,
) -> None:
    with driven(database) as (chat, run):
        session = run(chat.ada.start_session())

        @examples(60)
        @given(_CONTENTS)
        def holds(value: Any) -> None:
            try:
                message = run(chat.ada.say(session, value))
            except (asyncpg.CheckViolationError, asyncpg.NotNullViolationError):
                assert _users_parts(value) is None
            else:
                assert run(chat.message(message))["content"] == _users_parts(value)

        holds()


async def test_no_list_is_longer_than_256_parts(chat: Chat) -> None:
    part = {"type": "text", "text": "x"}
    is_content = "select engine.is_content($1)"

    assert await chat.admin.fetchval(is_content, [part] * 256) is True
    assert await chat.admin.fetchval(is_content, [part] * 257) is False


async def test_text_is_what_the_text_parts_say_one_to_a_line(chat: Chat) -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "reasoning", "text": "hidden"},
        {"type": "text", "text": "two"},
    ]

    assert await chat.admin.fetchval("select engine.content_text($1)", parts) == "one\ntwo"
    assert await chat.admin.fetchval("select engine.content_text('[]')") == ""


_DEEP = "[" * 300 + "]" * 300
# A few kilobytes on the disk and, written out, gigabytes.
_GROWING = [f"[{', '.join(['1e131071'] * 500)}]", f"[{', '.join(['1e-16383'] * 500)}]"]


@pytest.mark.parametrize("value", [_DEEP, "1e100000", "-1e301", *_GROWING])
async def test_json_that_not_every_reader_takes_is_refused(database: Database, value: str) -> None:
    content = f'[{{"type": "text", "text": "hi", "x": {value}}}]'
    tools = f'[{{"type": "function", "function": {{"name": "f", "parameters": {value}}}}}]'
    connection = await asyncpg.connect(database.url())
    try:
        with pytest.raises(asyncpg.CheckViolationError, match="unknown field"):
            await connection.fetchval("select engine.check_user_content($1)", content)
        with pytest.raises(asyncpg.CheckViolationError, match="nested too deeply"):
            await connection.execute("select engine.check_tools($1, '{function}')", tools)
    finally:
        await connection.close()


@pytest.mark.parametrize("value", _GROWING)
async def test_json_that_grows_when_it_is_written_out_is_refused_as_metadata_and_as_an_output(
    chat: Chat, value: str
) -> None:
    session = await chat.ada.start_session()
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.fetch(
            "insert into public.messages (session_id, content, metadata)"
            f" values ($1, '\"Hi\"', '{{\"x\": {value}}}')",
            session,
        )
    claim = await chat.claimed()
    await chat.worker.park(claim, "call_1")
    outputs = f'[{{"call_id": "call_1", "output": {value}}}]'
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.fetch(
            f"select * from public.submit_tool_outputs($1, '{outputs}')", UUID(claim["run_id"])
        )


async def test_a_message_that_is_too_long_is_told_how_long_it_may_be(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "x" * 262_000)

    with pytest.raises(asyncpg.CheckViolationError, match="larger than 256 kB") as refused:
        await chat.ada.say(session, "x" * 262_144)

    assert "At most 262144 bytes" in (refused.value.hint or "")
