-- Purpose:   from now on a session belongs to the organisation that is active when it starts.
-- Guarantee: nothing that was written before the policies of the files before this one is shared.
-- Caller:    every insert into chat_sessions.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table public.chat_sessions alter org_id
set default nullif(coalesce(auth.jwt() ->> 'org_id', auth.jwt() -> 'o' ->> 'id'), '');
