-- Purpose:   undoes that policies on public.chat_sessions know tenants.
-- Guarantee: the policies of before, word for word.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy "members change active sessions, starters and admins all" on public.chat_sessions;
drop policy "members read the sessions of their tenant" on public.chat_sessions;
drop policy "members start sessions as themselves" on public.chat_sessions;
drop policy "starters and admins delete sessions" on public.chat_sessions;

drop policy if exists "users read their own sessions" on public.chat_sessions;
create policy "users read their own sessions" on public.chat_sessions
for select to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users start sessions of their own" on public.chat_sessions;
create policy "users start sessions of their own" on public.chat_sessions
for insert to authenticated
with check ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users change their own sessions" on public.chat_sessions;
create policy "users change their own sessions" on public.chat_sessions
for update to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id)
with check ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users delete their own sessions" on public.chat_sessions;
create policy "users delete their own sessions" on public.chat_sessions
for delete to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "only tokens of our issuer count" on public.chat_sessions;
create policy "only tokens of our issuer count" on public.chat_sessions
as restrictive for all to authenticated
using ((select engine.caller_id()) is not null)
with check ((select engine.caller_id()) is not null);
