"""Rows that are put back after each attempt that may change some, where nothing can roll back."""

from tests.support.cluster import Database

_TABLES = """
select c.oid::regclass as name from pg_class as c
where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'engine'::regnamespace)
"""
_COLUMNS = """
select string_agg(quote_ident(attname), ', ') from pg_attribute
where attrelid = v_table::regclass and attnum > 0 and not attisdropped and attgenerated = ''
"""
_MAKE = f"""
create schema kept;
do $do$ declare v_table text; begin
    for v_table in {_TABLES} loop
        execute format('create table kept.%I as table %s', v_table, v_table);
    end loop;
end $do$;
create function public.restore_world() returns void language plpgsql security definer
set session_replication_role = replica as $f$
declare v_table text; v_columns text;
begin
    for v_table in {_TABLES} loop
        {_COLUMNS.replace("from", "into v_columns from", 1)};
        execute format('delete from %s', v_table);
        execute format('insert into %s (%s) overriding system value select %2$s from kept.%I',
            v_table, v_columns, v_table);
    end loop;
end $f$;
create function public.world_fingerprint() returns text language plpgsql security definer as $f$
declare v_table text; v_sum text; v_all text := '';
begin
    for v_table in {_TABLES} loop
        execute format('select md5(string_agg(t::text, chr(10) order by t::text)) from %s as t', v_table)
        into v_sum;
        v_all := v_all || v_table || ' ' || coalesce(v_sum, 'empty') || chr(10);
    end loop;
    return v_all;
end $f$;
revoke all on function public.restore_world(), public.world_fingerprint()
from public, anon, authenticated;
grant execute on function public.restore_world(), public.world_fingerprint() to service_role;
notify pgrst, 'reload schema';
"""


def keep(database: Database) -> None:
    """The rows of now are kept, and the secret key may put them back."""
    database.execute(_MAKE)
