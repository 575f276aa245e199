-- Purpose:   undoes that calls ask a budget.
-- Guarantee: budgets and what was spent of them stay.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_reserve_budget(jsonb);
drop function engine.reserve_budget(jsonb);
