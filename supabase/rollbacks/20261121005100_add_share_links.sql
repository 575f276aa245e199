-- Purpose:   undoes that sessions have links, and forgets those that were made.
-- Guarantee: the sessions stay.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file ban-drop-table

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.share_session(uuid, timestamptz);
drop function engine.share_own_session(uuid, timestamptz);
drop function engine.share_id(text);
drop table public.session_shares;
