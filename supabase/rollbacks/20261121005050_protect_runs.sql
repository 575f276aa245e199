-- Purpose:   undoes that policies on engine.runs know tenants.
-- Guarantee: the policies of before, word for word.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy "members read the runs of their tenant" on engine.runs;

drop policy if exists "users read the runs of their own sessions" on engine.runs;
create policy "users read the runs of their own sessions" on engine.runs
for select to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "only tokens of our issuer count" on engine.runs;
create policy "only tokens of our issuer count" on engine.runs
as restrictive for all to authenticated
using ((select engine.caller_id()) is not null)
with check ((select engine.caller_id()) is not null);
