-- Purpose:   undoes the batches, and forgets what is in them.
-- Guarantee: what was sent and has not landed is asked again.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table

set lock_timeout = '5s';
set statement_timeout = '60s';

drop table engine.batch_items;
drop table engine.batches;
-- The release before knows nothing of the column.
-- squawk-ignore ban-drop-column
alter table engine.settings drop column batch_wait_s;
