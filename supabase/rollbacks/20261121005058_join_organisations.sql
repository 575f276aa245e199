-- Purpose:   undoes that new sessions belong to organisations.
-- Guarantee: those that do stay as they are.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table public.chat_sessions alter org_id drop default;
