-- Who may do what with public.messages
--
--                | owner of the session                              | other users | anonymous
--   select       | own rows                                          | nothing     | refused
--   insert       | session_id, content, parent_id, client_id,        | refused     | refused
--                | metadata; only as the user, only when active      |             |
--   update       | metadata of own rows; content of own user         | nothing     | refused
--                | messages without an open run                      |             |
--   delete       | own rows; cancels the run of a message            | nothing     | refused
--
-- All of it only with a token that counts: of the issuer in engine.settings, and not pending.

set lock_timeout = '5s';

alter table public.messages enable row level security;
revoke all on public.messages from public, anon, authenticated, service_role;
grant select, delete on public.messages to authenticated;
grant insert (session_id, content, parent_id, client_id, metadata),
update (content, metadata) on public.messages to authenticated;
grant select, delete on public.messages to service_role;
grant insert (session_id, role, content, parent_id, client_id, metadata, starts_run),
update (content, metadata) on public.messages to service_role;

drop policy if exists "users read the messages of their own sessions" on public.messages;
create policy "users read the messages of their own sessions" on public.messages
for select to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users write to their own active sessions as themselves" on public.messages;
create policy "users write to their own active sessions as themselves" on public.messages
for insert to authenticated
with check (
    (select auth.jwt()) ->> 'sub' = user_id
    and role = 'user'
    and exists (
        select from public.chat_sessions as s
        where
            s.id = messages.session_id
            and s.user_id = (select auth.jwt()) ->> 'sub'
            and s.status = 'active'
    )
);

drop policy if exists "users change the messages of their own sessions" on public.messages;
create policy "users change the messages of their own sessions" on public.messages
for update to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id)
with check ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users delete the messages of their own sessions" on public.messages;
create policy "users delete the messages of their own sessions" on public.messages
for delete to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "only tokens of our issuer count" on public.messages;
create policy "only tokens of our issuer count" on public.messages
as restrictive for all to authenticated
using ((select engine.caller_id()) is not null)
with check ((select engine.caller_id()) is not null);
