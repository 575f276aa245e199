-- Purpose:   undoes that questions are sent in batches.
-- Guarantee: no run is touched.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_take_batches(text, text[], double precision, double precision);
drop function engine.take_batches(text, text[], double precision, double precision);
drop function engine.describe_batch(uuid, boolean);
drop function engine.gather_batch(text, text);
