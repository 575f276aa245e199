"""What a database holds, as text that can be compared."""

import json

from tests.support.cluster import Database

_OURS = "n.nspname in ('public', 'engine')"
# A function that takes whole rows of another is written out with the columns that these had when it
# was made: which they are does not change what it does.
_DEFINITION = """regexp_replace(pg_get_functiondef(p.oid), '( \\w+)\\([\\w"]+(, [\\w"]+){9,}\\)', '\\1', 'g')"""
_PARTS = {
    "relations": f"""
        select n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity,
            c.relacl, c.reloptions, obj_description(c.oid)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where {_OURS} and c.relkind in ('r', 'v', 'S', 'i')""",
    "columns": f"""
        select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        join pg_namespace n on n.oid = c.relnamespace
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where {_OURS} and a.attnum > 0 and not a.attisdropped""",
    "constraints": f"""
        select n.nspname, c.conname, pg_get_constraintdef(c.oid)
        from pg_constraint c join pg_namespace n on n.oid = c.connamespace where {_OURS}""",
    "indexes": """
        select schemaname, indexname, indexdef from pg_indexes
        where schemaname in ('public', 'engine')""",
    "functions": f"""
        select n.nspname, p.oid::regprocedure, md5({_DEFINITION}), p.proacl,
            obj_description(p.oid, 'pg_proc')
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {_OURS}""",
    "policies": """
        select schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check
        from pg_policies where schemaname in ('public', 'engine', 'realtime', 'storage')""",
    "schemas": """
        select nspname, nspacl, obj_description(oid) from pg_namespace
        where nspname !~ '^pg_(toast|temp)' and nspname <> 'supabase_migrations'""",
    "types": f"""
        select n.nspname, t.typname, t.typtype, t.typacl
        from pg_type t join pg_namespace n on n.oid = t.typnamespace where {_OURS}""",
    "comments": """
        select i.type, i.identity, d.description
        from pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
        where d.objoid >= 16384 or i.schema in ('public', 'engine')""",
    "defaults": """
        select defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl
        from pg_default_acl""",
    "triggers": f"""
        select n.nspname, pg_get_triggerdef(t.oid)
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        join pg_namespace n on n.oid = c.relnamespace where {_OURS} and not t.tgisinternal""",
}


def catalogue_of(database: Database) -> dict[str, list[str]]:
    """Return tables, columns, policies, grants, functions and triggers, each a sorted list."""
    parts = (
        f"select '{part}' as part, coalesce(json_agg(row::text), '[]') as rows from ({query}) as row"
        for part, query in _PARTS.items()
    )
    found = database.execute(
        f"select json_object_agg(part, rows) from ({' union all '.join(parts)}) as x"
    )
    return {part: sorted(rows) for part, rows in json.loads(found).items()}
