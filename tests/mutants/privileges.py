"""Mutants of privileges: each one that a role holds is revoked, each one that it lacks is granted."""

from typing import Any

from tests.mutants.mutant import Mutant, mutant

ROLES = ("public", "anon", "authenticated", "service_role", "assistants_engine")
_OURS = "('public'::regnamespace, 'engine'::regnamespace)"
_RELATIONS = f"""
select case c.relkind when 'S' then 'sequence' else 'table' end as kind,
    format('%I.%I', c.relnamespace::regnamespace, c.relname) as object, role,
    lower(p.privilege_type) as privilege,
    exists (select from aclexplode(c.relacl) a where a.privilege_type = p.privilege_type
        and a.grantee = case role when 'public' then 0 else to_regrole(role)::oid end) as held
from pg_class c, unnest($1::text[]) role,
    aclexplode(acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner)) p
where c.relnamespace in {_OURS} and c.relkind in ('r', 'p', 'v', 'S')
order by 1, 2, 3, 4
"""
_COLUMNS = f"""
select format('%I.%I', c.relnamespace::regnamespace, c.relname) as table,
    quote_ident(a.attname) as column, role, p as privilege,
    exists (select from aclexplode(a.attacl) x where lower(x.privilege_type) = p
        and x.grantee = case role when 'public' then 0 else to_regrole(role)::oid end) as held
from pg_attribute a join pg_class c on c.oid = a.attrelid, unnest($1::text[]) role,
    unnest(array['select', 'insert', 'update', 'references']) p
where c.relnamespace in {_OURS} and c.relkind in ('r', 'p', 'v') and a.attnum > 0
    and not a.attisdropped
    and not exists (select from aclexplode(c.relacl) x where lower(x.privilege_type) = p
        and x.grantee = case role when 'public' then 0 else to_regrole(role)::oid end)
order by 1, a.attnum, 3, 4
"""
_FUNCTIONS = f"""
select p.oid::regprocedure::text as object, role,
    exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        where a.grantee = case role when 'public' then 0 else to_regrole(role)::oid end) as held
from pg_proc p, unnest($1::text[]) role where p.pronamespace in {_OURS} order by 1, 2
"""
_SCHEMAS = """
select nspname as object, role, p as privilege,
    exists (select from aclexplode(nspacl) a where lower(a.privilege_type) = p
        and a.grantee = case role when 'public' then 0 else to_regrole(role)::oid end) as held
from pg_namespace, unnest($1::text[]) role, unnest(array['usage', 'create']) p
where nspname in ('public', 'engine') order by 1, 2, 3
"""


async def relations(connection: Any) -> list[Mutant]:
    """Return the mutants of tables, views and sequences as a whole."""
    return [
        _turned(row["held"], row["privilege"], f"{row['kind']} {row['object']}", row["role"])
        for row in await connection.fetch(_RELATIONS, ROLES)
    ]


async def columns(connection: Any) -> list[Mutant]:
    """Return the mutants of columns, where the role does not hold the privilege on the table."""
    return [
        _turned(
            row["held"],
            f"{row['privilege']} ({row['column']})",
            f"table {row['table']}",
            row["role"],
        )
        for row in await connection.fetch(_COLUMNS, ROLES)
    ]


async def functions(connection: Any) -> list[Mutant]:
    """Return the mutants of the right to execute."""
    return [
        _turned(
            row["held"],
            "execute",
            f"function {row['object']}",
            row["role"],
        )
        for row in await connection.fetch(_FUNCTIONS, ROLES)
    ]


async def schemas(connection: Any) -> list[Mutant]:
    """Return the mutants of both schemas, but for what the platform has decided."""
    return [
        _turned(row["held"], row["privilege"], f"schema {row['object']}", row["role"])
        for row in await connection.fetch(_SCHEMAS, ROLES)
        if (row["object"], row["privilege"]) != ("public", "usage")
    ]


def _turned(held: bool, privilege: str, target: str, role: str) -> Mutant:
    verb, preposition = ("revoke", "from") if held else ("grant", "to")
    # The owner of the schema `public` is a role that nobody is; the superuser grants for it.
    sql = f"{verb} {privilege} on {target} {preposition} {role}"
    return mutant(sql, sql, by_rules=True)
