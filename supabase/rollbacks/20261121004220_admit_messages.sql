-- Purpose:   undoes that messages need places.
-- Guarantee: rows stay as they are.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop trigger admit_messages on public.messages;
drop trigger settle_messages on public.messages;
drop function engine.admit_messages();
drop function engine.settle_messages();
drop function engine.admit_runs(public.chat_sessions, integer);
drop function engine.settle_runs(text, integer);
drop function engine.count_org_runs(text, uuid, integer);
