-- Purpose:   undoes that usage is counted by day, and forgets the counts.
-- Guarantee: the calls stay; their counts can be made anew from those that are still there.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table

set lock_timeout = '5s';
set statement_timeout = '60s';

drop view public.usage_by_day;
drop trigger count_usage on engine.model_calls;
drop function engine.count_usage();
drop table engine.usage_days;
