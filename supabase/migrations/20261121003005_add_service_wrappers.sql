-- Purpose:   the rest of what a worker or a service calls, over the Data API (see 003000).
-- Guarantee: as there.
-- Caller:    workers and services, over PostgREST.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function public.service_report_worker(p_worker text) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.report_worker(p_worker);
end;
comment on function public.service_report_worker(text) is
'engine.report_worker over the Data API.';

create function public.service_dismiss_worker(p_worker text) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.dismiss_worker(p_worker);
end;
comment on function public.service_dismiss_worker(text) is
'engine.dismiss_worker over the Data API.';

create function public.service_wake_workers() returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.wake_workers();
end;
comment on function public.service_wake_workers() is
'engine.wake_workers over the Data API.';

create function public.service_announce_events(p_sessions uuid[]) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.announce_events(p_sessions);
end;
comment on function public.service_announce_events(uuid[]) is
'engine.announce_events over the Data API.';

create function public.service_read_streams(p_cursors jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.read_streams(p_cursors);
end;
comment on function public.service_read_streams(jsonb) is
'engine.read_streams over the Data API.';

create function public.service_readiness(p_max_age_s double precision) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.readiness(p_max_age_s);
end;
comment on function public.service_readiness(double precision) is
'engine.readiness over the Data API.';

create function public.service_schema_version() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.schema_version();
end;
comment on function public.service_schema_version() is
'engine.schema_version over the Data API.';

create function public.service_reap_runs(p_limit integer) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.reap_runs(p_limit);
end;
comment on function public.service_reap_runs(integer) is
'engine.reap_runs over the Data API.';

create function public.service_purge(p_limit integer) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.purge(p_limit);
end;
comment on function public.service_purge(integer) is
'engine.purge over the Data API.';

revoke all on function
public.service_report_worker(text),
public.service_dismiss_worker(text),
public.service_wake_workers(),
public.service_announce_events(uuid[]),
public.service_read_streams(jsonb),
public.service_readiness(double precision),
public.service_schema_version(),
public.service_reap_runs(integer),
public.service_purge(integer)
from public, anon, authenticated, service_role;
grant execute on function
public.service_report_worker(text),
public.service_dismiss_worker(text),
public.service_wake_workers(),
public.service_announce_events(uuid[]),
public.service_read_streams(jsonb),
public.service_readiness(double precision),
public.service_schema_version(),
public.service_reap_runs(integer),
public.service_purge(integer),
engine.report_worker(text),
engine.dismiss_worker(text),
engine.wake_workers(),
engine.announce_events(uuid[]),
engine.read_streams(jsonb),
engine.readiness(double precision),
engine.schema_version(),
engine.reap_runs(integer),
engine.purge(integer)
to service_role;
