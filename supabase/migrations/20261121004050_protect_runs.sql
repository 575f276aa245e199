-- The policies and grants of policies/runs.sql, word for word.

-- Who may do what with engine.runs, seen through the view public.runs
--
--                | owner of the session                        | other users | anonymous
--   select       | own rows, the columns of the view           | nothing     | refused
--   insert       | refused                                     | refused     | refused
--   update       | refused (cancel_run, submit_tool_outputs)   | refused     | refused
--   delete       | refused                                     | refused     | refused
--
-- All of it only with a token that counts: of the issuer in engine.settings, and not pending.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table engine.runs enable row level security;
revoke all on engine.runs from public, anon, authenticated, service_role;
revoke all on public.runs from public, anon, authenticated, service_role;
grant select on public.runs to authenticated, service_role;
grant select (
    id, session_id, user_id, org_id, message_id, assistant_id, model, origin, status,
    required_action, error, usage, queued_no, created_at, started_at, ended_at, expires_at,
    cancel_requested_at
) on engine.runs to authenticated, service_role;

drop policy if exists "users read the runs of their own sessions" on engine.runs;
create policy "users read the runs of their own sessions" on engine.runs
for select to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "only tokens of our issuer count" on engine.runs;
create policy "only tokens of our issuer count" on engine.runs
as restrictive for all to authenticated
using ((select engine.caller_id()) is not null)
with check ((select engine.caller_id()) is not null);
