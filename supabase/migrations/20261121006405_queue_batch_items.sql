-- Purpose:   a run's question joins the next batch; what became of its questions.
-- Guarantee: asked twice, it is one question.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.find_batched(p_run uuid, p_digest text) returns jsonb
language sql
stable
security definer -- the service has no rights on tables
set search_path = ''
begin atomic
    select
        coalesce(jsonb_agg(
            jsonb_build_object(
                'provider', i.provider,
                'model', i.model,
                'bytes', i.bytes,
                'state', case
                    when i.state in ('done', 'expired') then i.state
                    when i.created_at < clock_timestamp() - make_interval(secs => s.batch_wait_s)
                        then 'expired'
                    else 'waiting'
                end,
                'answer', i.answer
            )
            order by i.created_at, i.id
        ), '[]')
    from engine.batch_items as i
    cross join engine.settings as s
    where i.run_id = p_run and i.digest = p_digest;
end;
comment on function engine.find_batched(uuid, text) is
'[{"provider", "model", "bytes", "state": waiting | done | expired, "answer"}]: this question of the run, by
each model that was asked it.';

create function engine.queue_batched(p_item jsonb) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_item record;
    v_found jsonb;
begin
    select * into strict v_item from pg_catalog.jsonb_to_record(p_item) as i (
        run_id uuid, digest text, provider text, model text, grouping text, body text);
    insert into engine.batch_items (run_id, digest, provider, model, grouping, body, bytes)
    select r.id, v_item.digest, v_item.provider, v_item.model, v_item.grouping, v_item.body,
        pg_catalog.octet_length(v_item.body)
    from engine.runs r
    where r.id = v_item.run_id and r.ended_at is null
    on conflict (run_id, digest, provider, model) do nothing;
    select o.value into v_found
    from pg_catalog.jsonb_array_elements(engine.find_batched(v_item.run_id, v_item.digest)) as o
    where o.value ->> 'provider' = v_item.provider and o.value ->> 'model' = v_item.model;
    if v_found ->> 'state' = 'waiting' then
        update engine.budget_reservations b
        set in_batch = true, expires_at = greatest(b.expires_at, pg_catalog.clock_timestamp()
            + pg_catalog.make_interval(secs => s.batch_wait_s))
        from engine.settings s
        where b.run_id = v_item.run_id;
    end if;
    return coalesce(v_found, '{"state": "gone"}');
end
$$;
comment on function engine.queue_batched(jsonb) is
'{"state": waiting | done | expired | gone, "answer"}: the question {"run_id", "digest", "provider",
"model", "grouping", "body"} of a run that goes on waits for a batch, unless it was asked before. What is reserved for it is held
until then.';

create function engine.free_unsent() returns trigger
language plpgsql
security definer -- writes what no role may
set search_path = ''
as $$
begin
    delete from engine.budget_reservations b using gone g
    where g.state = 'queued' and b.run_id = g.run_id and b.in_batch;
    return null;
end
$$;
comment on function engine.free_unsent() is
'Trigger: what is not sent costs nothing.';
create trigger free_unsent after delete on engine.batch_items
referencing old table as gone
for each statement execute function engine.free_unsent();
revoke all on function engine.free_unsent() from public, anon, authenticated, service_role;

create function public.service_find_batched(p_run uuid, p_digest text) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.find_batched(p_run, p_digest);
end;
comment on function public.service_find_batched(uuid, text) is
'engine.find_batched over the Data API.';

create function public.service_queue_batched(p_item jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.queue_batched(p_item);
end;
comment on function public.service_queue_batched(jsonb) is
'engine.queue_batched over the Data API.';

revoke all on function
engine.find_batched(uuid, text), engine.queue_batched(jsonb),
public.service_find_batched(uuid, text), public.service_queue_batched(jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.find_batched(uuid, text), engine.queue_batched(jsonb)
to assistants_engine, service_role;
grant execute on function
public.service_find_batched(uuid, text), public.service_queue_batched(jsonb)
to service_role;
