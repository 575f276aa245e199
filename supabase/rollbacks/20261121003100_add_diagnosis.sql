-- Purpose:   undoes what the doctor asks from inside the database.
-- Guarantee: workers and services notice nothing.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_diagnose();
drop function engine.diagnose(), engine.webhook_parts();
