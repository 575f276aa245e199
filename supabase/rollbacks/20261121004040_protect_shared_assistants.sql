-- Purpose:   undoes that tokens of other issuers do not count for public.shared_assistants.
-- Guarantee: what the other policies say stays.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy "only tokens of our issuer count" on public.shared_assistants;
