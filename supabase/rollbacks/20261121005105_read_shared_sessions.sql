-- Purpose:   undoes that links show sessions.
-- Guarantee: the links stay, and open nothing.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.read_shared_session(text, integer, integer);
drop function engine.read_shared(text, integer, integer);
drop function engine.shown_parts(jsonb);
