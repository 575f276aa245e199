-- Purpose:   undoes budgets, and forgets them.
-- Guarantee: calls are recorded as before.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table

set lock_timeout = '5s';
set statement_timeout = '60s';

drop trigger count_spending on engine.model_calls;
drop function engine.count_spending();
drop table engine.budget_reservations;
drop table engine.spending;
drop table engine.budgets;
