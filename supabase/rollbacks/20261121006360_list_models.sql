-- Purpose:   undoes that the service asks which models users may name.
-- Guarantee: they may name the same ones.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_list_models();
drop function engine.list_models();
