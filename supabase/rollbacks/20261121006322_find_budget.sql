-- Purpose:   undoes that budgets are compared with what was spent.
-- Guarantee: both stay.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.find_budget(text, text, uuid, uuid, boolean);
