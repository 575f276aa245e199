-- The policies and grants of policies/usage_by_day.sql, word for word.

-- Who may do what with engine.usage_days, seen through the view public.usage_by_day
--
--                | who used it, admins of the organisation | its other members | other users | anonymous
--   select       | every row, the columns of the view      | nothing           | nothing     | refused
--   insert       | refused                                 | refused           | refused     | refused
--   update       | refused                                 | refused           | refused     | refused
--   delete       | refused                                 | refused           | refused     | refused
--
-- All of it only with a token that counts: engine.caller has no row for any other. What was used in an
-- organisation's sessions is seen while it is the active one.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table engine.usage_days enable row level security;
revoke all on engine.usage_days from public, anon, authenticated, service_role;
revoke all on public.usage_by_day from public, anon, authenticated, service_role;
grant select on public.usage_by_day to authenticated, service_role;
grant select (
    user_id, org_id, day, model, assistant_id, calls, estimated_calls, unpriced_calls, input_tokens,
    cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_usd
) on engine.usage_days to authenticated, service_role;

drop policy if exists "members see what they used, admins what all did" on engine.usage_days;
create policy "members see what they used, admins what all did" on engine.usage_days
for select to authenticated
using (
    tenant_id = (select c.tenant_id from engine.caller as c) and (
        user_id = (select c.id from engine.caller as c)
        or (select c.is_admin from engine.caller as c)
    )
);

drop policy if exists "only tokens of our issuer count" on engine.usage_days;
create policy "only tokens of our issuer count" on engine.usage_days
as restrictive for all to authenticated
using (tenant_id = (select c.tenant_id from engine.caller as c))
with check (tenant_id = (select c.tenant_id from engine.caller as c));
