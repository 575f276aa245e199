-- Purpose:   undoes that a wrong option is named.
-- Guarantee: what is refused is the same.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.check_options(jsonb);
