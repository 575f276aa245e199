-- Purpose:   undoes that a browser sees and revokes links.
-- Guarantee: the links stay, and show what they showed.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy "members see the links of their tenant" on public.session_shares;
drop policy "sharers, starters and admins revoke links" on public.session_shares;
drop policy "only tokens of our issuer count" on public.session_shares;
revoke all on public.session_shares from authenticated, service_role;
