-- Purpose:   the doctor sees whether attachments are set up, and the bucket is private and has limits.
-- Guarantee: no file and no name of one. Never fails where a project has no Storage.
-- Caller:    engine.diagnose, by `assistants doctor`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.attachment_parts() returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    -- Text: the schema need not exist.
    v_read text := 'select pg_catalog.jsonb_build_object(
        ''is_private'', not coalesce(b.public, false),
        ''has_limits'', b.file_size_limit is not null and b.allowed_mime_types is not null)
        from storage.buckets b where b.id = ''attachments''';
    v_found jsonb;
begin
    if not pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('storage'), 'usage')
        or pg_catalog.to_regclass('storage.buckets') is null then
        return null;
    end if;
    execute v_read into v_found;
    return coalesce(v_found, '{}');
exception
    when insufficient_privilege or undefined_column then
        return null;
end
$$;
comment on function engine.attachment_parts() is
'{"is_private", "has_limits"} of the bucket for attachments; {} without it, null where there is no
Storage or it is out of reach. Never raises.';

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

revoke all on function engine.attachment_parts() from public, anon, authenticated, service_role;
