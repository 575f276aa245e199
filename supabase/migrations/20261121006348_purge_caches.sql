-- Purpose:   caches stay within their size.
-- Guarantee: what was used longest ago goes first, to within ten minutes. How large a cache is, is
--            known without a look at its entries; one worker at a time sees to it.
-- Caller:    engine.purge. No role may execute these.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table engine.cache_sizes (
    cache text not null,
    slot smallint not null,
    bytes bigint not null,
    primary key (cache, slot)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.cache_sizes is
'How many bytes the entries of a cache take: the sum of its slots, of which each connection has one, so
that writers do not wait for each other. A single slot may be negative.';
alter table engine.cache_sizes enable row level security;
revoke all on engine.cache_sizes from public, anon, authenticated, service_role;

-- Hits move an entry in it every ten minutes at most.
-- squawk-ignore require-concurrent-index-creation
create index cache_entries_used_at_idx on engine.cache_entries (cache, used_at);

create function engine.add_to_cache(p_cache text, p_bytes bigint) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    insert into engine.cache_sizes as s (cache, slot, bytes)
    values (p_cache, pg_backend_pid() % 8, p_bytes)
    on conflict (cache, slot) do update set bytes = s.bytes + excluded.bytes;
end;
comment on function engine.add_to_cache(text, bigint) is 'So many bytes more, or less.';

create function engine.size_cache() returns trigger
language plpgsql
security definer -- reads and writes what no role may
set search_path = ''
as $$
begin
    if tg_op = 'UPDATE' then
        perform engine.add_to_cache(new.cache, new.bytes - old.bytes);
    elsif tg_op = 'TRUNCATE' then
        delete from engine.cache_sizes;
    else
        perform engine.add_to_cache(
            c.cache, pg_catalog.sum(case tg_op when 'INSERT' then c.bytes else -c.bytes end))
        from changed c group by c.cache having pg_catalog.sum(c.bytes) > 0 order by c.cache;
    end if;
    return null;
end
$$;
comment on function engine.size_cache() is 'Trigger: the sizes of caches are those of their entries.';
create trigger size_new after insert on engine.cache_entries
referencing new table as changed
for each statement execute function engine.size_cache();
create trigger size_old after delete on engine.cache_entries
referencing old table as changed
for each statement execute function engine.size_cache();
create trigger size_changed after update of bytes on engine.cache_entries
for each row when (old.bytes <> new.bytes) execute function engine.size_cache();
create trigger size_none after truncate on engine.cache_entries
for each statement execute function engine.size_cache();

create function engine.purge_caches(p_limit integer) returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_full record;
    v_gone integer;
    v_evicted integer;
begin
    if not pg_catalog.pg_try_advisory_xact_lock(7203911547) then
        return 0;
    end if;
    -- By place: a join might read the whole table.
    delete from engine.cache_entries e where e.ctid = any (array(
        select o.ctid from engine.cache_entries o
        where o.expires_at < pg_catalog.statement_timestamp()
        order by o.expires_at limit p_limit for update skip locked));
    get diagnostics v_gone = row_count;
    for v_full in
        select l.cache, pg_catalog.sum(s.bytes) - l.max_bytes as excess
        from engine.cache_limits l inner join engine.cache_sizes s on s.cache = l.cache
        group by l.cache having pg_catalog.sum(s.bytes) > l.max_bytes
        order by l.cache
    loop
        with oldest as materialized (
            select o.ctid, o.bytes, o.used_at, o.key from engine.cache_entries o
            where o.cache = v_full.cache and o.value is not null
            order by o.used_at limit p_limit for update skip locked
        ),

        -- The one whose end goes beyond the excess is the last that goes.
        unused as (
            select o.ctid, pg_catalog.sum(o.bytes) over (order by o.used_at, o.key) - o.bytes as before
            from oldest o
        )

        delete from engine.cache_entries e where e.ctid = any (array(
            select u.ctid from unused u where u.before < v_full.excess));
        get diagnostics v_evicted = row_count;
        v_gone := v_gone + v_evicted;
    end loop;
    return v_gone;
end
$$;
comment on function engine.purge_caches(integer) is
'So many entries are gone: what has expired, and where a cache is too large, what was used longest ago;
p_limit at most of the one, and of each cache. None where another worker is at it.';

revoke all on function
engine.add_to_cache(text, bigint), engine.size_cache(), engine.purge_caches(integer)
from public, anon, authenticated, service_role;
