"""Mutants of policies: dropped, emptied, for everybody, of the other kind, with a condition less."""

from collections.abc import Iterator
from typing import Any

from tests.mutants.conditions import without_one
from tests.mutants.mutant import Mutant, mutant

_POLICIES = """
select n.nspname as schema, format('%I.%I', n.nspname, c.relname) as "table", quote_ident(p.polname) as name,
    p.polname as plain,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
        when 'd' then 'delete' else 'all' end as command,
    p.polpermissive as permissive, p.polroles = '{0}' as public,
    (select string_agg(r::regrole::text, ', ') from unnest(p.polroles) r) as roles,
    pg_get_expr(p.polqual, p.polrelid) as using,
    pg_get_expr(p.polwithcheck, p.polrelid) as check
from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'engine', 'realtime', 'storage')
order by 1, 2
"""
# What tests call it.
_MEANS = {"realtime": " broadcast follow topic"}


async def policies(connection: Any) -> list[Mutant]:
    """Return the mutants of every policy, also of those on the platform's tables."""
    rows = await connection.fetch(_POLICIES)
    return [found for row in rows for found in _of(row)]


def _of(row: Any) -> Iterator[Mutant]:
    about = f"{row['table']} {row['command']}"
    words = about + _MEANS.get(row["schema"], "")
    target = f"{row['name']} on {row['table']}"

    def made(how: str, sql: str, *, by_rules: bool = False) -> Mutant:
        name = f"{about} '{row['plain']}': {how}"
        return mutant(name, sql, about=words, by_rules=by_rules)

    yield made("dropped", f"drop policy {target}")
    if not row["public"]:
        # Where visitors hold no right on the table, nothing else shows it.
        yield made("to public", f"alter policy {target} to public", by_rules=True)
    yield made("of the other kind", f"drop policy {target}; {_other_kind(row, target)}")
    for part, clause in (("using", "using"), ("check", "with check")):
        if row[part] is None:
            continue
        yield made(f"{clause} true", f"alter policy {target} {clause} (true)")
        for condition, rest in without_one(row[part]):
            yield made(f"{clause} lacks {condition}", f"alter policy {target} {clause} ({rest})")


def _other_kind(row: Any, target: str) -> str:
    kind = "restrictive" if row["permissive"] else "permissive"
    clauses = f" using ({row['using']})" if row["using"] is not None else ""
    clauses += f" with check ({row['check']})" if row["check"] is not None else ""
    roles = row["roles"] if not row["public"] else "public"
    return f"create policy {target} as {kind} for {row['command']} to {roles}{clauses}"
