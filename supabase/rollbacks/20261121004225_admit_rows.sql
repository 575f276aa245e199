-- Purpose:   undoes that sessions and assistants need places.
-- Guarantee: rows stay as they are.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop trigger admit_sessions on public.chat_sessions;
drop trigger admit_assistants on public.assistants;
drop function engine.admit_rows();
