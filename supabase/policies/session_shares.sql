-- Who may do what with public.session_shares, the links that show a session
--
--                | who shared or started it, admins | its other members | other users | anonymous
--   select       | every row                        | every row         | nothing     | refused
--   insert       | refused (share_session)          | refused           | refused     | refused
--   update       | refused                          | refused           | refused     | refused
--   delete       | every row: the link is revoked   | nothing           | nothing     | refused
--
-- All of it only with a token that counts: engine.caller has no row for any other. What a
-- link shows needs no token: read_shared_session.

set lock_timeout = '5s';

alter table public.session_shares enable row level security;
revoke all on public.session_shares from public, anon, authenticated, service_role;
grant select, delete on public.session_shares to authenticated, service_role;

drop policy if exists "members see the links of their tenant" on public.session_shares;
create policy "members see the links of their tenant" on public.session_shares
for select to authenticated
using (tenant_id = (select c.tenant_id from engine.caller as c));

drop policy if exists "sharers, starters and admins revoke links" on public.session_shares;
create policy "sharers, starters and admins revoke links" on public.session_shares
for delete to authenticated
using (
    tenant_id = (select c.tenant_id from engine.caller as c) and (
        created_by = (select c.id from engine.caller as c)
        or user_id = (select c.id from engine.caller as c)
        or (select c.is_admin from engine.caller as c)
    )
);

drop policy if exists "only tokens of our issuer count" on public.session_shares;
create policy "only tokens of our issuer count" on public.session_shares
as restrictive for all to authenticated
using (tenant_id = (select c.tenant_id from engine.caller as c))
with check (tenant_id = (select c.tenant_id from engine.caller as c));
