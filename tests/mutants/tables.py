"""Mutants of tables and views: security off, triggers off, defaults and constraints gone."""

import re
from collections.abc import Iterator
from typing import Any

from tests.mutants.conditions import without_one
from tests.mutants.mutant import Mutant, mutant

_OURS = "('public'::regnamespace, 'engine'::regnamespace)"
_RELATIONS = f"""
select format('%I.%I', relnamespace::regnamespace, relname) as name, relkind, relrowsecurity,
    relforcerowsecurity, has_any_column_privilege('authenticated', oid, 'select') as reachable,
    exists (select from pg_rewrite w join pg_depend d on d.objid = w.oid
        join pg_class t on t.oid = d.refobjid and t.relkind = 'r' where w.ev_class = v.oid) as reads
from pg_class v where relnamespace in {_OURS} and relkind in ('r', 'p', 'v') order by 1
"""
_VIEWS = f"""
select name, definition, 'create or replace view ' || name || ' with (security_invoker = true)' as head
from (select format('%I.%I', relnamespace::regnamespace, relname) as name,
    pg_get_viewdef(oid) as definition
    from pg_class where relnamespace in {_OURS} and relkind = 'v') as v
order by 1
"""
_TRIGGERS = f"""
select format('%I.%I', c.relnamespace::regnamespace, c.relname) as table, t.tgname as name,
    pg_get_triggerdef(t.oid) as definition
from pg_trigger t join pg_class c on c.oid = t.tgrelid
where c.relnamespace in {_OURS} and not t.tgisinternal order by 1, 2
"""
_DEFAULTS = f"""
select format('%I.%I', c.relnamespace::regnamespace, c.relname) as table,
    quote_ident(a.attname) as column, pg_get_expr(d.adbin, d.adrelid) as value,
    (select string_agg(pg_get_constraintdef(k.oid), ' ') from pg_constraint k
        where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]) as bounds
from pg_attrdef d join pg_class c on c.oid = d.adrelid
join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
where c.relnamespace in {_OURS} and a.attgenerated = '' and c.relname <> 'settings'
order by 1, 2
"""
_CONSTRAINTS = f"""
select conrelid::regclass as table, quote_ident(conname) as name, contype::text as kind,
    pg_get_constraintdef(oid) as definition
from pg_constraint
where connamespace in {_OURS} and contype in ('c', 'f', 'u') and conrelid <> 0
order by 1::text, 2
"""


async def security(connection: Any) -> list[Mutant]:
    """Return tables without row-level security, or unforced, and views with their owner's rights."""
    return [found for row in await connection.fetch(_RELATIONS) for found in _security_of(row)]


def _security_of(row: Any) -> Iterator[Mutant]:
    name = row["name"]
    if row["relkind"] == b"v":
        off = f"alter view {name} set (security_invoker = false)"
        # Whose rights count matters only where there are rows to read.
        yield mutant(f"{name}: with its owner's rights", off, by_rules=not row["reads"])
        return
    if row["relrowsecurity"]:
        off = f"alter table {name} disable row level security"
        # Where nobody holds a right, it is a second lock, which only its own rule can miss.
        yield mutant(f"{name}: off", off, by_rules=not row["reachable"])
    if row["relforcerowsecurity"]:
        off = f"alter table {name} no force row level security"
        yield mutant(f"{name}: force off", off, by_rules=True)


async def views(connection: Any) -> list[Mutant]:
    """Return views that lack one of their conditions."""
    return [
        mutant(f"{row['name']}: lacks {condition}", f"{row['head']} as {rest}")
        for row in await connection.fetch(_VIEWS)
        for condition, rest in without_one(row["definition"])
    ]


async def triggers(connection: Any) -> list[Mutant]:
    """Return disabled triggers."""
    return [
        mutant(
            f"{row['table']} {row['name']}: off",
            f"alter table {row['table']} disable trigger {row['name']}",
        )
        for row in await connection.fetch(_TRIGGERS)
    ]


async def defaults(connection: Any) -> list[Mutant]:
    """Return columns without their default, or with another one."""
    return [found for row in await connection.fetch(_DEFAULTS) for found in _defaults_of(row)]


def _defaults_of(row: Any) -> Iterator[Mutant]:
    table, column = row["table"], row["column"]
    alter = f"alter table {table} alter {column}"
    yield mutant(f"{table} {column}: dropped", f"{alter} drop default")
    other = _another(row["value"], row["bounds"] or "")
    if other is not None:
        yield mutant(f"{table} {column}: {other}", f"{alter} set default {other}")


def _another(value: str, bounds: str) -> str | None:
    """Return a default of the same type that means something else, or None."""
    if "jwt" in value:
        return "'user_2mallory'"
    if value in {"true", "false"}:
        return "false" if value == "true" else "true"
    if re.fullmatch(r"-?\d+", value):
        return str(int(value) + 1)
    allowed = re.findall(r"'([^']*)'::text", bounds)
    others = [word for word in allowed if f"'{word}'" not in value]
    if (
        re.fullmatch(r"'[^']*'::text", value)
        and value.split("::", maxsplit=1)[0].strip("'") in allowed
    ):
        return f"'{others[0]}'"
    return None


async def constraints(connection: Any) -> list[Mutant]:
    """Return tables without one of their checks, keys or references."""
    return [
        mutant(
            f"{row['table']} {row['name']}: dropped",
            f"alter table {row['table']} drop constraint {row['name']} cascade",
        )
        for row in await connection.fetch(_CONSTRAINTS)
    ]
