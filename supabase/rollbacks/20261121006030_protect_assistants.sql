-- Purpose:   undoes that users set options of their assistants.
-- Guarantee: the grants of before.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

revoke insert (options), update (options) on public.assistants from authenticated;
