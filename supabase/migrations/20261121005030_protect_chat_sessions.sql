-- The policies and grants of policies/chat_sessions.sql, word for word.

-- Who may do what with public.chat_sessions
--
--                | who started it, admins of its           | its other members | other   | anonymous
--                | organisation                            |                   | users   |
--   select       | every row                               | every row         | nothing | refused
--   insert       | title, assistant_id, while_running,     | the same          | –       | refused
--                | metadata                                |                   |         |
--   update       | title, status, assistant_id,            | active rows, not  | nothing | refused
--                | while_running, metadata                 | their status      |         |
--   delete       | every row, with all that hangs on it    | nothing           | nothing | refused
--
-- A row belongs to the organisation that was active when it was made, else to its user alone; with
-- another organisation active, or none, its own members see nothing of it.
--
-- All of it only with a token that counts: engine.caller has no row for any other.

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

drop policy if exists "members read the sessions of their tenant" on public.chat_sessions;
create policy "members read the sessions of their tenant" on public.chat_sessions
for select to authenticated
using (tenant_id = (select c.tenant_id from engine.caller as c));

drop policy if exists "members start sessions as themselves" on public.chat_sessions;
create policy "members start sessions as themselves" on public.chat_sessions
for insert to authenticated
with check (
    (tenant_id, user_id) = (
        select
            c.tenant_id,
            c.id
        from engine.caller as c
    )
);

drop policy if exists "members change active sessions, starters and admins all" on public.chat_sessions;
create policy "members change active sessions, starters and admins all" on public.chat_sessions
for update to authenticated
using (
    tenant_id = (select c.tenant_id from engine.caller as c) and (
        status = 'active'
        or user_id = (select c.id from engine.caller as c)
        or (select c.is_admin from engine.caller as c)
    )
)
with check (
    tenant_id = (select c.tenant_id from engine.caller as c) and (
        status = 'active'
        or user_id = (select c.id from engine.caller as c)
        or (select c.is_admin from engine.caller as c)
    )
);

drop policy if exists "starters and admins delete sessions" on public.chat_sessions;
create policy "starters and admins delete sessions" on public.chat_sessions
for delete to authenticated
using (
    tenant_id = (select c.tenant_id from engine.caller as c)
    and (
        user_id = (select c.id from engine.caller as c)
        or (select c.is_admin from engine.caller as c)
    )
);

drop policy if exists "only tokens of our issuer count" on public.chat_sessions;
create policy "only tokens of our issuer count" on public.chat_sessions
as restrictive for all to authenticated
using (tenant_id = (select c.tenant_id from engine.caller as c))
with check (tenant_id = (select c.tenant_id from engine.caller as c));

-- What they were called before.
drop policy "users change their own sessions" on public.chat_sessions;
drop policy "users delete their own sessions" on public.chat_sessions;
drop policy "users read their own sessions" on public.chat_sessions;
drop policy "users start sessions of their own" on public.chat_sessions;
