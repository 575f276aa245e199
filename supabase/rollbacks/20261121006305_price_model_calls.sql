-- Purpose:   undoes that the operator has prices of their own, and forgets them.
-- Guarantee: calls keep what they cost.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table

set lock_timeout = '5s';
set statement_timeout = '60s';

drop trigger price_call on engine.model_calls;
drop function engine.price_call();
drop function engine.own_price(text, timestamptz, bigint, bigint, bigint, bigint);
drop table engine.model_prices;
