-- Purpose:   undoes the ledger, and forgets what is in it.
-- Guarantee: runs keep the usage that stands in their rows.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table, ban-drop-column

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_record_calls(jsonb);
drop function engine.record_calls(jsonb);
drop table engine.model_calls;
alter table engine.settings drop column model_calls_kept_days;
