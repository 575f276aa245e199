-- Purpose:   what the doctor asks from inside the database, the same over every transport.
-- Guarantee: no user's data and no secret, only whether they are there. Never fails for what a
--            project lacks: pg_net, Vault and Realtime may be missing or out of reach.
-- Caller:    `assistants doctor`, as a member of assistants_engine or with the secret key;
--            `assistants webhook`, as the owner.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.webhook_parts() returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    -- Text: the schema need not exist. Names alone: nothing is decrypted.
    v_read text := 'select exists (select from vault.decrypted_secrets s where s.name = $1)';
    v_net boolean := false;
    v_vault boolean := false;
    v_url boolean := false;
    v_secret boolean := false;
begin
    -- As engine.send_webhook asks: without USAGE the name alone would raise.
    if pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('net'), 'usage') then
        v_net := pg_catalog.to_regprocedure(
            'net.http_post(text, jsonb, jsonb, jsonb, integer)') is not null;
    end if;
    if pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('vault'), 'usage')
        and pg_catalog.has_table_privilege(
            pg_catalog.to_regclass('vault.decrypted_secrets'), 'select')
    then
        execute v_read into v_url using 'assistants_webhook_url';
        execute v_read into v_secret using 'assistants_webhook_secret';
        v_vault := true;
    end if;
    return pg_catalog.jsonb_build_object(
        'pg_net', v_net, 'vault', v_vault, 'url', v_url, 'secret', v_secret);
exception when others then
    return pg_catalog.jsonb_build_object(
        'pg_net', v_net, 'vault', false, 'url', false, 'secret', false);
end
$$;
comment on function engine.webhook_parts() is
'{"pg_net", "vault", "url", "secret"}: which parts of the webhook the owner of the tables can reach.
Booleans, never values. Never raises.';

create function engine.diagnose() returns jsonb
language plpgsql
stable
security definer -- the service has no rights on tables, nor on Vault
set search_path = ''
set lock_timeout = '1s'
as $$
begin
    return engine.readiness(15) || pg_catalog.jsonb_build_object(
        'server_version', pg_catalog.current_setting('server_version'),
        'now', pg_catalog.clock_timestamp(),
        'unguarded', (
            select coalesce(pg_catalog.jsonb_agg(
                n.nspname || '.' || c.relname order by n.nspname, c.relname), '[]')
            from pg_catalog.pg_class c
            inner join pg_catalog.pg_namespace n on c.relnamespace = n.oid
            where n.nspname in ('public', 'engine') and c.relkind in ('r', 'p')
            and not c.relrowsecurity),
        'policies', (
            select coalesce(
                pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                    'table', p.schemaname || '.' || p.tablename, 'name', p.policyname)), '[]')
            from pg_catalog.pg_policies p
            where p.schemaname in ('public', 'engine')
            or (p.schemaname = 'realtime' and p.tablename = 'messages')),
        'webhook', engine.webhook_parts(),
        'realtime', exists (
            select from pg_catalog.pg_class c
            inner join pg_catalog.pg_namespace n on c.relnamespace = n.oid
            where n.nspname = 'realtime' and c.relname = 'messages'),
        'default_model', (
            select a.model from engine.settings s
            inner join public.assistants a on s.default_assistant_id = a.id),
        'user_models', (select s.user_models from engine.settings s));
end
$$;
comment on function engine.diagnose() is
'What the doctor needs from inside: version, workers, clock, tables without row security, policies,
parts of the webhook, Realtime, the default assistant''s model (null without one), users'' models.';

create function public.service_diagnose() returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.diagnose();
end;
comment on function public.service_diagnose() is 'engine.diagnose over the Data API.';

revoke all on function engine.webhook_parts(), engine.diagnose(), public.service_diagnose()
from public, anon, authenticated, service_role;
grant execute on function engine.diagnose() to assistants_engine, service_role;
grant execute on function public.service_diagnose() to service_role;
