"""The rights in the catalogue are the ones that the suite's tables list, and no others."""

from typing import Any

from tests.db.test_catalogue import (
    _EXECUTABLE,
    _OF_BROWSERS,
    _OF_THE_SECRET_KEY,
    _OF_VISITORS,
)
from tests.db.test_grants import _COMPUTED, _PRIVILEGES, _WRITES
from tests.support.chat import Chat

_OURS = "('public'::regnamespace, 'engine'::regnamespace)"
_HOLDER = "case a.grantee when 0 then 'public' else a.grantee::regrole::text end"
_RELATIONS = f"""
select format('%s.%s', c.relnamespace::regnamespace, c.relname) as object, {_HOLDER} as holder,
    lower(a.privilege_type) as privilege
from pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
where c.relnamespace in {_OURS} and c.relkind <> 'i' and a.grantee <> c.relowner
"""
_COLUMNS = f"""
select format('%s.%s', c.relnamespace::regnamespace, c.relname) as object, {_HOLDER} as holder,
    lower(a.privilege_type) as privilege, t.attname as column
from pg_attribute t join pg_class c on c.oid = t.attrelid, aclexplode(t.attacl) a
where c.relnamespace in {_OURS}
"""
_FUNCTIONS = f"""
select p.pronamespace::regnamespace::text as object, {_HOLDER} as holder, p.proname as privilege
from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
where p.pronamespace in {_OURS} and a.grantee <> p.proowner
"""
_SCHEMAS = f"""
select n.nspname as object, {_HOLDER} as holder, lower(a.privilege_type) as privilege
from pg_namespace n, aclexplode(n.nspacl) a
where n.nspname in ('public', 'engine') and a.grantee <> n.nspowner
    and a.grantee::regrole::text <> 'postgres'
"""
_UNPRIVILEGED = ("anon", "authenticated", "service_role")
# Definer functions that nobody may call, used by others; all the rest answer somebody or a trigger.
_WITHIN = {"may_use_assistant", "schema_versions"}
# May be called, and need no more than their caller has.
_MODEST = {"caller_id", "describe_wall", "tell_early", "token_is_trusted"}


async def _found(chat: Chat, sql: str) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in await chat.admin.fetch(sql)}


async def test_nobody_holds_a_right_on_a_table_that_is_not_listed(empty_chat: Chat) -> None:
    listed = {
        (table, role, privilege)
        for table, roles in _PRIVILEGES.items()
        for role, privileges in roles.items()
        for privilege in privileges.split()
    }

    assert await _found(empty_chat, _RELATIONS) == listed


async def test_nobody_holds_a_right_on_a_column_that_is_not_listed(empty_chat: Chat) -> None:
    written = {
        (f"public.{table}", role, command, column)
        for (table, command, role), columns in _WRITES.items()
        for column in columns.split()
        if command not in _PRIVILEGES[f"public.{table}"].get(role, "").split()
    }
    view = await empty_chat.admin.fetch(
        "select attname from pg_attribute where attrelid = 'public.runs'::regclass and attnum > 0"
    )
    usage = await empty_chat.admin.fetch(
        "select attname from pg_attribute"
        " where attrelid = 'public.usage_by_day'::regclass and attnum > 0"
    )
    read = {
        (table, role, "select", column)
        for role in ("authenticated", "service_role")
        for table, columns in {
            # The status that the view shows depends on it.
            "engine.runs": {"cancel_requested_at", *(name for (name,) in view)},
            "engine.usage_days": {name for (name,) in usage},
        }.items()
        for column in columns
    }

    assert await _found(empty_chat, _COLUMNS) == written | read
    assert {column for (column,) in view} >= set(_COMPUTED)


async def test_nobody_executes_a_function_that_is_not_listed(empty_chat: Chat) -> None:
    engine = {("engine", role, name) for role, names in _EXECUTABLE.items() for name in names}
    browsers = {("public", "authenticated", name) for name in _OF_BROWSERS}
    visitors = {("public", "anon", name) for name in _OF_VISITORS}
    backends = {("public", "service_role", name) for name in _OF_THE_SECRET_KEY}

    assert await _found(empty_chat, _FUNCTIONS) == engine | browsers | visitors | backends


async def test_nobody_uses_a_schema_that_is_not_listed(empty_chat: Chat) -> None:
    platform = {("public", role, "usage") for role in ("public", *_UNPRIVILEGED)}

    assert await _found(empty_chat, _SCHEMAS) == {
        *platform,
        ("engine", "assistants_engine", "usage"),
    }


async def test_a_function_has_its_owners_rights_only_where_it_answers_somebody(
    empty_chat: Chat,
) -> None:
    definers = await empty_chat.admin.fetch(
        f"select proname from pg_proc where prosecdef and pronamespace in {_OURS}"
    )
    triggers = await empty_chat.admin.fetch(
        f"select proname from pg_proc where prorettype = 'trigger'::regtype and pronamespace in {_OURS}"
    )
    pure = await empty_chat.admin.fetch(
        f"select proname from pg_proc where provolatile = 'i' and pronamespace in {_OURS}"
    )
    callable_ones = set().union(*_EXECUTABLE.values()) - {name for (name,) in pure}

    expected = callable_ones | {name for (name,) in triggers} | _WITHIN
    expected -= _MODEST
    assert {name for (name,) in definers} == expected


async def test_no_policy_is_for_everybody(empty_chat: Chat) -> None:
    sql = "select polname from pg_policy where polroles = '{0}'"

    assert await _found(empty_chat, sql) == set()
