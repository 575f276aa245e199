-- Purpose:   undoes that questions wait for a batch.
-- Guarantee: no run is touched.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop trigger free_unsent on engine.batch_items;
drop function engine.free_unsent();
drop function public.service_queue_batched(jsonb);
drop function public.service_find_batched(uuid, text);
drop function engine.queue_batched(jsonb);
drop function engine.find_batched(uuid, text);
