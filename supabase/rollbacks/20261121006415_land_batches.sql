-- Purpose:   undoes that answers of batches land.
-- Guarantee: what the provider answers from now on is lost.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_land_batch(uuid, jsonb, boolean);
drop function public.service_note_batch(uuid, text, text, double precision);
drop function engine.land_batch(uuid, jsonb, boolean);
drop function engine.bill_batch(uuid, jsonb);
drop function engine.note_batch(uuid, text, text, double precision);
