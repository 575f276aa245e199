-- Purpose:   undoes that caches are kept within their size.
-- Guarantee: what is in them stays.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.purge_caches(integer);
