-- Purpose:   undoes that caches are kept within their size.
-- Guarantee: what is in them stays.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.purge_caches(integer);
drop trigger size_new on engine.cache_entries;
drop trigger size_old on engine.cache_entries;
drop trigger size_changed on engine.cache_entries;
drop trigger size_none on engine.cache_entries;
drop function engine.size_cache();
drop function engine.add_to_cache(text, bigint);
-- squawk-ignore require-concurrent-index-deletion
drop index engine.cache_entries_used_at_idx;
drop table engine.cache_sizes;
