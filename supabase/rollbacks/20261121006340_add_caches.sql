-- Purpose:   undoes the caches, and forgets what is in them.
-- Guarantee: nothing but time and money is lost.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.keep_cached(text, jsonb);
drop function engine.find_cached(text, jsonb);
drop function engine.count_lookups(text, bigint, bigint);
drop table engine.cache_days;
drop table engine.cache_entries;
drop table engine.cache_limits;
