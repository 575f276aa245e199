-- Purpose:   undoes that policies on public.messages know tenants.
-- Guarantee: the policies of before, word for word.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy "members change replies and what they wrote" on public.messages;
drop policy "members delete what they wrote, starters and admins all" on public.messages;
drop policy "members read the messages of their tenant" on public.messages;
drop policy "members write to active sessions as themselves" on public.messages;

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
