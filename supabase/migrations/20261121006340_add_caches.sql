-- Purpose:   answers of models, vectors of texts and results of functions that need no second asking.
-- Guarantee: what has expired is never given; of those who ask for the same at the same time one leads
--            and the others wait for it, at most as long as its lease.
-- Caller:    workers and services, as members of assistants_engine. No browser reads a cache.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table engine.cache_limits (
    cache text primary key check (cache in ('responses', 'embeddings', 'results')),
    ttl_s integer not null check (ttl_s > 0),
    max_entry_bytes integer not null check (max_entry_bytes between 1 and 10000000),
    max_bytes bigint not null check (max_bytes > 0)
);
comment on table engine.cache_limits is
'How long an entry of each cache holds at most, and how large one and all of them may be.';
insert into engine.cache_limits (cache, ttl_s, max_entry_bytes, max_bytes) values
('responses', 86400, 262144, 268435456),
('embeddings', 2592000, 65536, 1073741824),
('results', 86400, 262144, 268435456);

create table engine.cache_entries (
    cache text not null references engine.cache_limits (cache),
    key bytea not null check (length(key) = 32),
    owner text,
    value jsonb,
    bytes integer not null,
    hits bigint not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    used_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    holder text,
    lease_until timestamptz,
    primary key (cache, key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.cache_entries is
'Whatever the key, a SHA-256, stands for. The key holds whose it is: nobody finds another''s.';
comment on column engine.cache_entries.owner is
'For whom, such as `user:user_2abc`: to forget them. Null: nobody''s in particular.';
comment on column engine.cache_entries.value is 'Null: the holder of the lease is making it.';
create index cache_entries_expires_at_idx on engine.cache_entries (expires_at);
create index cache_entries_owner_idx on engine.cache_entries (owner) where owner is not null;

create table engine.cache_days (
    cache text not null references engine.cache_limits (cache),
    day date not null,
    hits bigint not null,
    misses bigint not null,
    primary key (cache, day)
);
comment on table engine.cache_days is 'How often a cache helped, day by day (UTC).';

alter table engine.cache_limits enable row level security;
alter table engine.cache_entries enable row level security;
alter table engine.cache_days enable row level security;
revoke all on engine.cache_limits, engine.cache_entries, engine.cache_days
from public, anon, authenticated, service_role;

create function engine.count_lookups(p_cache text, p_hits bigint, p_misses bigint) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    insert into engine.cache_days as d (cache, day, hits, misses)
    values (p_cache, (clock_timestamp() at time zone 'UTC')::date, p_hits, p_misses)
    on conflict (cache, day) do update
        set hits = d.hits + excluded.hits, misses = d.misses + excluded.misses;
end;
comment on function engine.count_lookups(text, bigint, bigint) is 'Adds to the counts of today.';

create function engine.find_cached(p_cache text, p_keys jsonb) returns jsonb
language plpgsql
volatile -- counts hits
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_keys bytea[];
    v_found jsonb;
    v_hits bigint;
begin
    select pg_catalog.array_agg(distinct pg_catalog.decode(k.value, 'hex')) into v_keys
    from pg_catalog.jsonb_array_elements_text(p_keys) as k (value);
    select coalesce(pg_catalog.jsonb_object_agg(pg_catalog.encode(e.key, 'hex'), e.value), '{}'),
        pg_catalog.count(*)
    into v_found, v_hits
    from engine.cache_entries e
    where e.cache = p_cache and e.key = any (v_keys) and e.value is not null
    and e.expires_at > pg_catalog.clock_timestamp();
    -- Whose row somebody else has just counted in is counted once: nobody waits for that.
    -- When it was used is told every ten minutes, so that a hit does not write to indexes.
    update engine.cache_entries u set hits = u.hits + 1, used_at = case
        when u.used_at > pg_catalog.clock_timestamp() - interval '10 minutes' then u.used_at
        else pg_catalog.clock_timestamp() end
    from (select e.key from engine.cache_entries e
        where e.cache = p_cache and e.key = any (v_keys) and e.value is not null
        for no key update skip locked) as free
    where u.cache = p_cache and u.key = free.key;
    perform engine.count_lookups(
        p_cache, v_hits, coalesce(pg_catalog.cardinality(v_keys), 0) - v_hits);
    return v_found;
end
$$;
comment on function engine.find_cached(text, jsonb) is
'{key: value} of those of the keys, SHA-256 in hexadecimal digits, that are there and have not expired.';

create function engine.keep_cached(p_cache text, p_entries jsonb) returns void
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    insert into engine.cache_entries as e (cache, key, owner, value, bytes, expires_at)
    select l.cache, pg_catalog.decode(n.key, 'hex'), n.owner, n.value,
        pg_catalog.octet_length(n.value::text), pg_catalog.clock_timestamp()
            + pg_catalog.make_interval(secs => least(coalesce(n.ttl_s, l.ttl_s), l.ttl_s))
    from pg_catalog.jsonb_to_recordset(p_entries) as n (
        key text, owner text, value jsonb, ttl_s double precision)
    inner join engine.cache_limits l on l.cache = p_cache
    where pg_catalog.octet_length(n.value::text) <= l.max_entry_bytes
    order by n.key
    on conflict (cache, key) do update set
        owner = excluded.owner, value = excluded.value, bytes = excluded.bytes, hits = 0,
        used_at = pg_catalog.clock_timestamp(), created_at = pg_catalog.clock_timestamp(),
        expires_at = excluded.expires_at, holder = null, lease_until = null;
    -- Who waits for one that is too large waits for nothing.
    delete from engine.cache_entries e
    using (select o.key from pg_catalog.jsonb_to_recordset(p_entries) as n (key text)
        inner join engine.cache_entries o on o.key = pg_catalog.decode(n.key, 'hex')
        where o.cache = p_cache and o.value is null for update of o skip locked) as empty
    where e.cache = p_cache and e.key = empty.key;
end
$$;
comment on function engine.keep_cached(text, jsonb) is
'Keeps entries [{"key", "owner", "value", "ttl_s"}], for no longer than the cache allows; one that is
too large is not kept.';

revoke all on function
engine.count_lookups(text, bigint, bigint), engine.find_cached(text, jsonb),
engine.keep_cached(text, jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.find_cached(text, jsonb), engine.keep_cached(text, jsonb)
to assistants_engine, service_role;
