-- Who may do what with public.messages
--
--                | members of the session's organisation, its user     | other users | anonymous
--   select       | every row                                           | nothing     | refused
--   insert       | session_id, content, parent_id, client_id,          | refused     | refused
--                | metadata; only as themselves, only when active      |             |
--   update       | metadata of replies and of messages of their own;   | nothing     | refused
--                | content of their own without an open run            |             |
--   delete       | rows of their own; whoever started the session, and | nothing     | refused
--                | admins, every row; cancels the run of a message     |             |
--
-- All of it only with a token that counts: engine.caller has no row for any other.

set lock_timeout = '5s';

alter table public.messages enable row level security;
revoke all on public.messages from public, anon, authenticated, service_role;
grant select, delete on public.messages to authenticated;
grant insert (session_id, content, parent_id, client_id, metadata),
update (content, metadata) on public.messages to authenticated;
grant select, delete on public.messages to service_role;
grant insert (session_id, role, content, parent_id, client_id, metadata, starts_run),
update (content, metadata) on public.messages to service_role;

drop policy if exists "members read the messages of their tenant" on public.messages;
create policy "members read the messages of their tenant" on public.messages
for select to authenticated
using (tenant_id = (select c.tenant_id from engine.caller as c));

drop policy if exists "members write to active sessions as themselves" on public.messages;
create policy "members write to active sessions as themselves" on public.messages
for insert to authenticated
with check (
    (tenant_id, author_id) = (
        select
            c.tenant_id,
            c.id
        from engine.caller as c
    )
    and role = 'user'
    and exists (
        select from public.chat_sessions as s
        where
            s.id = messages.session_id
            and s.tenant_id = messages.tenant_id
            and s.status = 'active'
    )
);

drop policy if exists "members change replies and what they wrote" on public.messages;
create policy "members change replies and what they wrote" on public.messages
for update to authenticated
using (
    tenant_id = (select c.tenant_id from engine.caller as c)
    and (author_id = (select c.id from engine.caller as c) or role = 'assistant')
)
with check (
    tenant_id = (select c.tenant_id from engine.caller as c)
    and (author_id = (select c.id from engine.caller as c) or role = 'assistant')
);

drop policy if exists "members delete what they wrote, starters and admins all" on public.messages;
create policy "members delete what they wrote, starters and admins all" on public.messages
for delete to authenticated
using (
    tenant_id = (select c.tenant_id from engine.caller as c) and (
        author_id = (select c.id from engine.caller as c)
        or user_id = (select c.id from engine.caller as c)
        or (select c.is_admin from engine.caller as c)
    )
);

drop policy if exists "only tokens of our issuer count" on public.messages;
create policy "only tokens of our issuer count" on public.messages
as restrictive for all to authenticated
using (tenant_id = (select c.tenant_id from engine.caller as c))
with check (tenant_id = (select c.tenant_id from engine.caller as c));
