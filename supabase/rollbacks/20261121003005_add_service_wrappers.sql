-- Purpose:   undoes the wrappers of what workers and services call besides.
-- Guarantee: workers and services with a database login notice nothing.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

revoke execute on function
engine.report_worker(text),
engine.dismiss_worker(text),
engine.wake_workers(),
engine.announce_events(uuid[]),
engine.read_streams(jsonb),
engine.readiness(double precision),
engine.schema_version(),
engine.reap_runs(integer),
engine.purge(integer)
from service_role;
drop function
public.service_report_worker(text),
public.service_dismiss_worker(text),
public.service_wake_workers(),
public.service_announce_events(uuid[]),
public.service_read_streams(jsonb),
public.service_readiness(double precision),
public.service_schema_version(),
public.service_reap_runs(integer),
public.service_purge(integer);
