-- Purpose:   of those who ask for the same at the same time one does the work.
-- Guarantee: there is one leader at a time; where it fails or is silent beyond its lease, who comes
--            next leads. Nothing here waits: who is told to come back does so.
-- Caller:    workers and services, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.lead_cached(
    p_cache text, p_key text, p_holder text, p_lease_s double precision
) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_key bytea := pg_catalog.decode(p_key, 'hex');
    v_now timestamptz;
    v_entry engine.cache_entries;
begin
    insert into engine.cache_entries (cache, key, bytes, expires_at)
    values (p_cache, v_key, 0, '-infinity') on conflict (cache, key) do nothing;
    select e.* into v_entry from engine.cache_entries e
    where e.cache = p_cache and e.key = v_key for no key update;
    v_now := pg_catalog.clock_timestamp();
    if v_entry.value is not null and v_entry.expires_at > v_now then
        update engine.cache_entries e set hits = e.hits + 1, used_at = case
            when e.used_at > v_now - interval '10 minutes' then e.used_at else v_now end
        where e.cache = p_cache and e.key = v_key;
        perform engine.count_lookups(p_cache, 1, 0);
        return pg_catalog.jsonb_build_object('state', 'hit', 'value', v_entry.value);
    elsif v_entry.holder <> p_holder and v_entry.lease_until > v_now then
        return pg_catalog.jsonb_build_object('state', 'wait');
    end if;
    update engine.cache_entries e set value = null, bytes = 0, hits = 0, holder = p_holder,
        lease_until = v_now + pg_catalog.make_interval(secs => p_lease_s),
        expires_at = v_now + pg_catalog.make_interval(secs => p_lease_s)
    where e.cache = p_cache and e.key = v_key;
    perform engine.count_lookups(p_cache, 0, 1);
    return pg_catalog.jsonb_build_object('state', 'lead');
end
$$;
comment on function engine.lead_cached(text, text, text, double precision) is
'{"state"}: hit (and the value), lead (the holder makes it now, within the lease), wait (another does).';

create function engine.release_cached(p_cache text, p_key text, p_holder text) returns void
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    delete from engine.cache_entries e
    where e.cache = p_cache and e.key = pg_catalog.decode(p_key, 'hex')
    and e.holder = p_holder and e.value is null;
end
$$;
comment on function engine.release_cached(text, text, text) is
'The holder has nothing to give: whoever comes next leads.';

create function public.service_find_cached(p_cache text, p_keys jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.find_cached(p_cache, p_keys);
end;
comment on function public.service_find_cached(text, jsonb) is
'engine.find_cached over the Data API.';

create function public.service_keep_cached(p_cache text, p_entries jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.keep_cached(p_cache, p_entries);
end;
comment on function public.service_keep_cached(text, jsonb) is
'engine.keep_cached over the Data API.';

create function public.service_lead_cached(
    p_cache text, p_key text, p_holder text, p_lease_s double precision
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.lead_cached(p_cache, p_key, p_holder, p_lease_s);
end;
comment on function public.service_lead_cached(text, text, text, double precision) is
'engine.lead_cached over the Data API.';

create function public.service_release_cached(p_cache text, p_key text, p_holder text) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.release_cached(p_cache, p_key, p_holder);
end;
comment on function public.service_release_cached(text, text, text) is
'engine.release_cached over the Data API.';

revoke all on function
engine.lead_cached(text, text, text, double precision), engine.release_cached(text, text, text),
public.service_find_cached(text, jsonb),
public.service_keep_cached(text, jsonb),
public.service_lead_cached(text, text, text, double precision),
public.service_release_cached(text, text, text)
from public, anon, authenticated, service_role;
grant execute on function
engine.lead_cached(text, text, text, double precision), engine.release_cached(text, text, text)
to assistants_engine, service_role;
grant execute on function
public.service_find_cached(text, jsonb), public.service_keep_cached(text, jsonb),
public.service_lead_cached(text, text, text, double precision),
public.service_release_cached(text, text, text)
to service_role;
