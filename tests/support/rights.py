"""Every right that a role holds in a database, read from the catalogue: a line each.

Left out is what PostgreSQL and its extensions give to everybody.
"""

from tests.support.cluster import Database

# What a role is a member of, itself included; the options exist since version 16.
_MEMBERSHIPS = """
with recursive member (id) as (
    select oid from pg_roles where rolname = '{role}'
    union
    select m.roleid from pg_auth_members m join member on m.member = member.id
)
"""
_OPTIONS = """
select 'member of ' || m.roleid::regrole
    || case when m.admin_option then ', administers' else '' end
    || case when (to_jsonb(m) ->> 'inherit_option')::boolean is distinct from false
        then ', inherits' else '' end
    || case when (to_jsonb(m) ->> 'set_option')::boolean is distinct from false
        then ', becomes' else '' end
from pg_auth_members m where m.member = '{role}'::regrole
"""
_ATTRIBUTES = """
select unnest(array[
    case when rolsuper then 'superuser' end, case when rolbypassrls then 'bypasses row security' end,
    case when rolcreaterole then 'makes roles' end, case when rolcreatedb then 'makes databases' end,
    case when rolreplication then 'replicates' end, case when rolcanlogin then 'logs in' end,
    case when not rolinherit then 'inherits nothing' end,
    case when rolconnlimit >= 0 then 'connections: ' || rolconnlimit end])
from pg_roles where rolname = '{role}'
union all
select 'has set ' || unnest(setconfig) from pg_db_role_setting
where setrole = '{role}'::regrole
"""
# Everything that can have an access list, and its owner.
_THINGS = """
things (name, kind, acl, owner) as (
    select 'database ' || case when datname = current_database() then 'here' else 'elsewhere' end,
        'd', datacl, datdba from pg_database where datname = current_database()
    union all select 'schema ' || nspname, 'n', nspacl, nspowner from pg_namespace
        where nspname !~ '^pg_(toast|temp)'
    union all select case relkind when 'S' then 'sequence ' else 'table ' end || oid::regclass,
        case relkind when 'S' then 's' else 'r' end, relacl, relowner from pg_class
        where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all select 'column ' || a.attrelid::regclass || '.' || a.attname, 'c', a.attacl, c.relowner
        from pg_attribute a join pg_class c on a.attrelid = c.oid where a.attacl is not null
    union all select 'function ' || p.oid::regprocedure, 'f', proacl, proowner from pg_proc p
        where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass
            and d.objid = p.oid and d.deptype = 'e')
    union all select 'language ' || lanname, 'l', lanacl, lanowner from pg_language
        where lanpltrusted
    union all select 'type ' || oid::regtype, 'T', typacl, typowner from pg_type
        where typtype in ('d', 'e', 'r', 'm', 'b') and typelem = 0
    union all select 'setting ' || parname, 'p', paracl, 10 from pg_parameter_acl
    union all select 'tablespace ' || spcname, 't', spcacl, spcowner from pg_tablespace
    union all select 'wrapper ' || fdwname, 'F', fdwacl, fdwowner from pg_foreign_data_wrapper
    union all select 'server ' || srvname, 'S', srvacl, srvowner from pg_foreign_server
    union all select 'large object ' || oid, 'L', lomacl, lomowner from pg_largeobject_metadata
    union all select 'new objects of ' || defaclrole::regrole || ' in '
        || case when defaclnamespace = 0 then 'any schema' else defaclnamespace::regnamespace::text end
        || ', ' || defaclobjtype::text, null, defaclacl, defaclrole from pg_default_acl
), held as (
    select t.name, a.grantee, a.privilege_type, a.is_grantable, t.owner
    from things t cross join aclexplode(coalesce(t.acl,
        case when t.kind in ('d', 'n', 'r', 's', 'f', 'l', 'T', 't', 'F', 'S', 'L')
        then acldefault(t.kind::"char", t.owner) end)) a
)
"""
_RIGHT = "lower(privilege_type) || case when is_grantable then '*' else '' end"
_GRANTED = (
    "select g || ': ' || name || ': ' || string_agg({right}, ' ' order by privilege_type)"
    " from held join (select id, id::regrole::text as g from member) m on held.grantee = m.id"
    " group by g, name"
)
_OWNED = (
    "select 'owns ' || coalesce(i.identity, d.classid::regclass::text) from pg_shdepend d"
    " join member on d.refobjid = member.id and d.refclassid = 'pg_authid'::regclass"
    " left join lateral pg_identify_object(d.classid, d.objid, d.objsubid) i"
    " on d.dbid in (0, (select oid from pg_database where datname = current_database()))"
    " where d.deptype = 'o'"
)
_PUBLIC = (
    "select name || ': ' || string_agg({right}, ' ' order by privilege_type)"
    " from held where grantee = 0 and name !~ ' (pg_catalog\\.|information_schema\\.)'"
    " and name !~ '^(schema (pg_catalog|information_schema)$|type )'"
    " and name !~ '^(table|function|column) (pg_|[^.]*$)' group by name"
)


def rights(database: Database, role: str) -> set[str]:
    """Return what is granted to the role and to those that it is a member of: `who: what: rights`."""
    head = _MEMBERSHIPS.format(role=role)
    query = f"{head.rstrip()}, {_THINGS} {_GRANTED.format(right=_RIGHT)}"
    return _lines(database, query) | _lines(database, f"{head} {_OWNED}")


def standing(database: Database, role: str) -> set[str]:
    """Return what the role is by itself: attributes, settings and memberships."""
    sql = f"{_ATTRIBUTES} union all {_OPTIONS}".format(role=role)
    return _lines(database, sql)


def everybodys(database: Database) -> set[str]:
    """Return what PUBLIC gives to every role."""
    return _lines(database, f"with {_THINGS} {_PUBLIC.format(right=_RIGHT)}")


def _lines(database: Database, sql: str) -> set[str]:
    # Names as whoever has nothing on the search path would have to write them.
    said = database.execute(f"set search_path = '';\n{sql}")
    return {line for line in said.splitlines() if line}
