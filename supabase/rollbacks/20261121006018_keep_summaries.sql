-- Purpose:   undoes that summaries are kept.
-- Guarantee: nothing of it is left.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_keep_summary(uuid, text, bigint, jsonb);
drop function engine.keep_summary(uuid, text, bigint, jsonb);
-- What was kept can be made again.
-- squawk-ignore ban-drop-table
drop table engine.session_summaries;
