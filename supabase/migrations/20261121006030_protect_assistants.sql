-- The policies and grants of policies/assistants.sql, word for word.

-- Who may do what with public.assistants
--
--                | owner                                  | other users | anonymous
--   select       | own rows                               | nothing     | refused
--   insert       | name, description, instructions,       | –           | refused
--                | model, tools, options, visibility,     |             |
--                | metadata                               |             |
--   update       | the same columns of own rows           | nothing     | refused
--   delete       | own rows                               | nothing     | refused
--
-- A row that is shared with an organisation is changed and deleted only while that one is active:
-- who has left it no longer instructs it.
--
-- The operator's assistants have no owner: users see them in shared_assistants.
--
-- All of it only with a token that counts: engine.caller has no row for any other.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table public.assistants enable row level security;
revoke all on public.assistants from public, anon, authenticated, service_role;
grant select, delete on public.assistants to authenticated;
grant insert (name, description, instructions, model, tools, options, visibility, metadata),
update (name, description, instructions, model, tools, options, visibility, metadata)
on public.assistants to authenticated;
grant select, insert, update, delete on public.assistants to service_role;

drop policy if exists "users read their own assistants" on public.assistants;
create policy "users read their own assistants" on public.assistants
for select to authenticated
using (user_id = (select c.id from engine.caller as c));

drop policy if exists "users make assistants of their own" on public.assistants;
create policy "users make assistants of their own" on public.assistants
for insert to authenticated
with check (user_id = (select c.id from engine.caller as c));

drop policy if exists "users change their own assistants" on public.assistants;
create policy "users change their own assistants" on public.assistants
for update to authenticated
using (
    user_id = (select c.id from engine.caller as c)
    and (visibility <> 'organisation' or org_id = (select c.org_id from engine.caller as c))
)
with check (
    user_id = (select c.id from engine.caller as c)
    and (visibility <> 'organisation' or org_id = (select c.org_id from engine.caller as c))
);

drop policy if exists "users delete their own assistants" on public.assistants;
create policy "users delete their own assistants" on public.assistants
for delete to authenticated
using (
    user_id = (select c.id from engine.caller as c)
    and (visibility <> 'organisation' or org_id = (select c.org_id from engine.caller as c))
);

drop policy if exists "only tokens of our issuer count" on public.assistants;
create policy "only tokens of our issuer count" on public.assistants
as restrictive for all to authenticated
using (user_id = (select c.id from engine.caller as c))
with check (user_id = (select c.id from engine.caller as c));
