-- Purpose:   what moves runs, for a worker that has the project's URL and secret key and no database
--            login: each function of `engine` under a name that the Data API serves.
-- Guarantee: for `service_role` alone, with its own rights: a browser's key or token is refused. One
--            jsonb each, so that a project's row limit cuts nothing. Bound to the functions when
--            they are made: `engine` stays out of reach.
-- Caller:    a worker, over PostgREST.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function public.service_claim_runs(
    p_worker text, p_limit integer, p_lease_s double precision,
    p_excluded_models text[] default '{}', p_message_limit integer default 0
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.claim_runs(p_worker, p_limit, p_lease_s, p_excluded_models, p_message_limit);
end;
comment on function public.service_claim_runs(text, integer, double precision, text[], integer) is
'engine.claim_runs over the Data API.';

create function public.service_heartbeat_runs(
    p_worker text, p_runs jsonb, p_lease_s double precision
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.heartbeat_runs(p_worker, p_runs, p_lease_s);
end;
comment on function public.service_heartbeat_runs(text, jsonb, double precision) is
'engine.heartbeat_runs over the Data API.';

create function public.service_run_history(
    p_run uuid, p_worker text, p_fence bigint, p_message_limit integer default 200
) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.run_history(p_run, p_worker, p_fence, p_message_limit);
end;
comment on function public.service_run_history(uuid, text, bigint, integer) is
'engine.run_history over the Data API.';

create function public.service_flush_events(p_worker text, p_batch jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.flush_events(p_worker, p_batch);
end;
comment on function public.service_flush_events(text, jsonb) is
'engine.flush_events over the Data API.';

create function public.service_checkpoint_run(
    p_run uuid, p_worker text, p_fence bigint, p_steps jsonb, p_text jsonb, p_events jsonb
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.checkpoint_run(p_run, p_worker, p_fence, p_steps, p_text, p_events);
end;
comment on function public.service_checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb) is
'engine.checkpoint_run over the Data API.';

create function public.service_park_run(
    p_run uuid, p_worker text, p_fence bigint, p_steps jsonb, p_events jsonb
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.park_run(p_run, p_worker, p_fence, p_steps, p_events);
end;
comment on function public.service_park_run(uuid, text, bigint, jsonb, jsonb) is
'engine.park_run over the Data API.';

create function public.service_finish_run(
    p_run uuid, p_worker text, p_fence bigint, p_status text, p_message_id uuid, p_content jsonb,
    p_usage jsonb, p_reason text, p_error text, p_events jsonb
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.finish_run(
        p_run, p_worker, p_fence, p_status, p_message_id, p_content, p_usage, p_reason, p_error,
        p_events
    );
end;
comment on function public.service_finish_run(
    uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb
) is
'engine.finish_run over the Data API.';

create function public.service_fail_run(
    p_run uuid, p_worker text, p_fence bigint, p_error text, p_retry_after_s double precision,
    p_message_id uuid, p_content jsonb, p_usage jsonb, p_events jsonb
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.fail_run(
        p_run, p_worker, p_fence, p_error, p_retry_after_s, p_message_id, p_content, p_usage,
        p_events
    );
end;
comment on function public.service_fail_run(
    uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb
) is
'engine.fail_run over the Data API.';

create function public.service_release_run(
    p_run uuid, p_worker text, p_fence bigint, p_events jsonb
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.release_run(p_run, p_worker, p_fence, p_events);
end;
comment on function public.service_release_run(uuid, text, bigint, jsonb) is
'engine.release_run over the Data API.';

revoke all on function
public.service_claim_runs(text, integer, double precision, text[], integer),
public.service_heartbeat_runs(text, jsonb, double precision),
public.service_run_history(uuid, text, bigint, integer),
public.service_flush_events(text, jsonb),
public.service_checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb),
public.service_park_run(uuid, text, bigint, jsonb, jsonb),
public.service_finish_run(uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb),
public.service_fail_run(uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb),
public.service_release_run(uuid, text, bigint, jsonb)
from public, anon, authenticated, service_role;
grant execute on function
public.service_claim_runs(text, integer, double precision, text[], integer),
public.service_heartbeat_runs(text, jsonb, double precision),
public.service_run_history(uuid, text, bigint, integer),
public.service_flush_events(text, jsonb),
public.service_checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb),
public.service_park_run(uuid, text, bigint, jsonb, jsonb),
public.service_finish_run(uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb),
public.service_fail_run(uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb),
public.service_release_run(uuid, text, bigint, jsonb),
engine.claim_runs(text, integer, double precision, text[], integer),
engine.heartbeat_runs(text, jsonb, double precision),
engine.run_history(uuid, text, bigint, integer),
engine.flush_events(text, jsonb),
engine.checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb),
engine.park_run(uuid, text, bigint, jsonb, jsonb),
engine.finish_run(uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb),
engine.fail_run(uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb),
engine.release_run(uuid, text, bigint, jsonb)
to service_role;
