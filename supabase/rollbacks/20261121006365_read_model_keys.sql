-- Purpose:   undoes that keys are read from Vault.
-- Guarantee: the secrets stay there.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_read_model_key(text);
drop function engine.read_model_key(text);
