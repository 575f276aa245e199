-- Purpose:   undoes limits and the count of what was used of them.
-- Guarantee: the operator's limits are gone; other settings stay.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.take_places(engine.settings, text, text, integer, integer, integer);
drop index engine.runs_open_user_id_idx;
drop index engine.runs_open_org_id_idx;
drop table engine.admissions;
alter table engine.settings
drop column user_messages_per_minute,
drop column user_messages_per_day,
drop column user_open_runs,
drop column user_sessions_per_day,
drop column user_assistants_per_day,
drop column org_messages_per_minute,
drop column org_messages_per_day,
drop column org_open_runs;
