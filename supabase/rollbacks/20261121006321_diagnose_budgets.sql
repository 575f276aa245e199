-- Purpose:   undoes that the doctor sees the models of budgets.
-- Guarantee: what it sees else is the same.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.diagnose() returns jsonb
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
            or (p.schemaname = 'realtime' and p.tablename = 'messages')
            or (p.schemaname = 'storage' and p.tablename = 'objects')),
        'attachments', engine.attachment_parts(),
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
parts of the webhook, attachments, Realtime, the default assistant''s model (null without one), users'' models.';
