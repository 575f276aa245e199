-- Purpose:   a summary of what a long conversation's beginning said is made once and kept.
-- Guarantee: no browser sees it; it goes with its session; written under the fence only.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table engine.session_summaries (
    session_id uuid primary key references public.chat_sessions (id) on delete cascade,
    summary jsonb not null check (jsonb_typeof(summary) = 'object' and engine.fits(summary, 65536)),
    updated_at timestamptz not null default clock_timestamp()
);
comment on table engine.session_summaries is
'{"text", "covers", "digest"}: what the first messages of a branch said, how many they are, and which.';
alter table engine.session_summaries enable row level security;
revoke all on engine.session_summaries from public, anon, authenticated, service_role;

create function engine.keep_summary(p_run uuid, p_worker text, p_fence bigint, p_summary jsonb)
returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_run engine.runs := engine.hold_run(p_run, p_worker, p_fence);
begin
    if v_run.id is null then
        return '{"state": "gone"}'::jsonb;
    elsif v_run.status = 'lost' then
        return '{"state": "lost"}'::jsonb;
    end if;
    insert into engine.session_summaries as s (session_id, summary)
    values (v_run.session_id, p_summary)
    on conflict (session_id) do update
    set summary = excluded.summary, updated_at = pg_catalog.clock_timestamp();
    return '{"state": "stored"}'::jsonb;
end
$$;
comment on function engine.keep_summary(uuid, text, bigint, jsonb) is
'{"state": stored | lost | gone}: the summary is the session''s, in place of the one before.';

create function public.service_keep_summary(
    p_run uuid, p_worker text, p_fence bigint, p_summary jsonb
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.keep_summary(p_run, p_worker, p_fence, p_summary);
end;
comment on function public.service_keep_summary(uuid, text, bigint, jsonb) is
'engine.keep_summary over the Data API.';

revoke all on function
engine.keep_summary(uuid, text, bigint, jsonb), public.service_keep_summary(uuid, text, bigint, jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.keep_summary(uuid, text, bigint, jsonb)
to assistants_engine, service_role;
grant execute on function public.service_keep_summary(uuid, text, bigint, jsonb) to service_role;
