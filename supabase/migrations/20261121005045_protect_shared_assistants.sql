-- The policies and grants of policies/shared_assistants.sql, word for word.

-- Who may do what with public.shared_assistants
--
--                | any user                                          | anonymous
--   select       | rows for everyone, and of the active organisation | refused
--   insert       | refused                                           | refused
--   update       | refused                                           | refused
--   delete       | refused                                           | refused
--
-- All of it only with a token that counts: engine.caller has no row for any other.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table public.shared_assistants enable row level security;
revoke all on public.shared_assistants from public, anon, authenticated, service_role;
grant select on public.shared_assistants to authenticated, service_role;

drop policy if exists "users read the assistants shared with them" on public.shared_assistants;
create policy "users read the assistants shared with them" on public.shared_assistants
for select to authenticated
using (visibility = 'everyone' or org_id = (select c.org_id from engine.caller as c));

drop policy if exists "only tokens of our issuer count" on public.shared_assistants;
create policy "only tokens of our issuer count" on public.shared_assistants
as restrictive for all to authenticated
using ((select c.id from engine.caller as c) is not null)
with check ((select c.id from engine.caller as c) is not null);
