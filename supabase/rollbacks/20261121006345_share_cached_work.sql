-- Purpose:   undoes that equal work is shared.
-- Guarantee: what is cached stays.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_release_cached(text, text, text);
drop function public.service_lead_cached(text, text, text, double precision);
drop function public.service_keep_cached(text, jsonb);
drop function public.service_find_cached(text, jsonb);
drop function engine.release_cached(text, text, text);
drop function engine.lead_cached(text, text, text, double precision);
