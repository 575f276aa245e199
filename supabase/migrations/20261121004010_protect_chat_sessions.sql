-- The policies and grants of policies/chat_sessions.sql, word for word.

-- Who may do what with public.chat_sessions
--
--                | owner                                             | other users | anonymous
--   select       | own rows                                          | nothing     | refused
--   insert       | title, assistant_id, while_running, metadata      | –           | refused
--   update       | title, status, assistant_id, while_running,       | nothing     | refused
--                | metadata of own rows                              |             |
--   delete       | own rows, with all that hangs on them             | nothing     | refused
--
-- All of it only with a token that counts: of the issuer in engine.settings, and not pending.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table public.chat_sessions enable row level security;
revoke all on public.chat_sessions from public, anon, authenticated, service_role;
grant select, delete on public.chat_sessions to authenticated;
grant insert (title, assistant_id, while_running, metadata),
update (title, status, assistant_id, while_running, metadata)
on public.chat_sessions to authenticated;
grant select, delete on public.chat_sessions to service_role;
grant insert (user_id, org_id, title, status, assistant_id, while_running, metadata),
update (title, status, assistant_id, while_running, metadata)
on public.chat_sessions to service_role;

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
