-- Purpose:   undoes that runs wait for models that are at their limit.
-- Guarantee: those that wait are made at their time.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_defer_run(uuid, text, bigint, double precision, jsonb);
drop function engine.defer_run(uuid, text, bigint, double precision, jsonb);
-- The release before knows nothing of the columns.
-- squawk-ignore ban-drop-column
alter table engine.runs drop column waited_s;
-- squawk-ignore ban-drop-column
alter table engine.settings drop column turn_wait_s;
