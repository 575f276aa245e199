-- Purpose:   undoes that a browser sees what was used.
-- Guarantee: the counts stay.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy "members see what they used, admins what all did" on engine.usage_days;
drop policy "only tokens of our issuer count" on engine.usage_days;
revoke all on public.usage_by_day from authenticated, service_role;
revoke all on engine.usage_days from authenticated, service_role;
revoke select (
    user_id, org_id, day, model, assistant_id, calls, estimated_calls, unpriced_calls, input_tokens,
    cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_usd
) on engine.usage_days from authenticated, service_role;
