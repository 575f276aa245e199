-- Purpose:   undoes the wrappers of what moves runs.
-- Guarantee: workers and services with a database login notice nothing.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

revoke execute on function
engine.claim_runs(text, integer, double precision, text[], integer),
engine.heartbeat_runs(text, jsonb, double precision),
engine.run_history(uuid, text, bigint, integer),
engine.flush_events(text, jsonb),
engine.checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb),
engine.park_run(uuid, text, bigint, jsonb, jsonb),
engine.finish_run(uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb),
engine.fail_run(uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb),
engine.release_run(uuid, text, bigint, jsonb)
from service_role;
drop function
public.service_claim_runs(text, integer, double precision, text[], integer),
public.service_heartbeat_runs(text, jsonb, double precision),
public.service_run_history(uuid, text, bigint, integer),
public.service_flush_events(text, jsonb),
public.service_checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb),
public.service_park_run(uuid, text, bigint, jsonb, jsonb),
public.service_finish_run(uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb),
public.service_fail_run(uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb),
public.service_release_run(uuid, text, bigint, jsonb);
