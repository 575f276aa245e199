-- Purpose:   a signed webhook that tells a service about new messages, where workers cannot LISTEN.
-- Guarantee: only a hint, with ids alone: whatever fails in here, the insert does not, nor does it
--            wait. Where pg_net, Vault or the two secrets are missing, nothing happens.
-- Caller:    every insert into public.messages; services, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.hmac_sha256(p_key bytea, p_message bytea) returns bytea
language plpgsql
immutable
parallel safe
security invoker
set search_path = ''
as $$
declare
    v_key bytea := p_key;
    v_inner bytea := pg_catalog.decode(pg_catalog.repeat('36', 64), 'hex');
    v_outer bytea := pg_catalog.decode(pg_catalog.repeat('5c', 64), 'hex');
begin
    if pg_catalog.octet_length(p_key) > 64 then
        v_key := pg_catalog.sha256(p_key);
    end if;
    -- The rest of the key's block is zeros, which change nothing.
    for v_no in 0..pg_catalog.octet_length(v_key) - 1 loop
        v_inner := pg_catalog.set_byte(v_inner, v_no, pg_catalog.get_byte(v_key, v_no) # 54);
        v_outer := pg_catalog.set_byte(v_outer, v_no, pg_catalog.get_byte(v_key, v_no) # 92);
    end loop;
    return pg_catalog.sha256(v_outer || pg_catalog.sha256(v_inner || p_message));
end
$$;
comment on function engine.hmac_sha256(bytea, bytea) is
'HMAC-SHA-256 (RFC 2104) by what every PostgreSQL has: pgcrypto may be missing or anywhere.';

create function engine.sign_webhook(p_secret text, p_id text, p_timestamp bigint, p_body text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_key bytea;
begin
    if pg_catalog.starts_with(p_secret, 'whsec_') then
        v_key := pg_catalog.decode(pg_catalog.substr(p_secret, 7), 'base64');
    end if;
    if pg_catalog.octet_length(v_key) between 24 and 64 then
        return 'v1,' || pg_catalog.encode(engine.hmac_sha256(v_key, pg_catalog.convert_to(
            p_id || '.' || p_timestamp || '.' || p_body, 'UTF8')), 'base64');
    end if;
    raise exception 'a secret is whsec_ and the base64 of 24 to 64 bytes'
        using errcode = 'invalid_parameter_value';
end
$$;
comment on function engine.sign_webhook(text, text, bigint, text) is
'The header webhook-signature of Standard Webhooks 1.0. Raises for a secret that is none.';

create function engine.post_webhook(p_message uuid, p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_at bigint := pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp()));
    -- Text: neither schema need exist. pg_net sends body::text; it never waits or tries again.
    v_read text := 'select s.decrypted_secret from vault.decrypted_secrets s where s.name = $1';
    v_post text := 'select net.http_post(url := $1, body := $2, params := $3, headers := $4,'
        ' timeout_milliseconds := 2000)';
    v_url text;
    v_secret text;
    v_body jsonb;
begin
    if pg_catalog.to_regclass('vault.decrypted_secrets') is null
        or pg_catalog.to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is null
    then
        return;
    end if;
    execute v_read into v_url using 'assistants_webhook_url';
    if v_url is null then
        return;
    end if;
    execute v_read into v_secret using 'assistants_webhook_secret';
    v_body := pg_catalog.jsonb_build_object(
        'type', 'INSERT', 'schema', 'public', 'table', 'messages', 'old_record', null,
        'record', pg_catalog.jsonb_build_object('id', p_message, 'session_id', p_session));
    execute v_post using v_url, v_body, '{}'::jsonb, pg_catalog.jsonb_build_object(
        'content-type', 'application/json', 'webhook-id', p_message,
        'webhook-timestamp', v_at::text, 'webhook-signature',
        engine.sign_webhook(v_secret, p_message::text, v_at, v_body::text));
exception when others then
    -- For the operator alone, and no text of the error: it may quote the secret.
    raise log 'webhook not sent: SQLSTATE %', sqlstate;
end
$$;
comment on function engine.post_webhook(uuid, uuid) is
'pg_net sends the ids of a message at commit, if Vault holds assistants_webhook_url and
assistants_webhook_secret. Never raises: a failure is one line in the log of the server.';

create function engine.send_webhook() returns trigger
language plpgsql
security definer -- calls pg_net and reads Vault, which a browser may not
set search_path = ''
set lock_timeout = '100ms' -- whoever locks a table of pg_net or Vault holds up no message
as $$
declare
    v_message uuid;
    v_session uuid;
begin
    -- Asked before anything in these schemas is named: without USAGE the name alone would raise.
    if pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('net'), 'usage')
        and pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('vault'), 'usage')
    then
        select i.id, i.session_id into v_message, v_session
        from inserted i where i.starts_run order by i.position limit 1;
        if found then
            perform engine.post_webhook(v_message, v_session);
        end if;
    end if;
    return null;
end
$$;
comment on function engine.send_webhook() is
'Trigger: one webhook for a statement that starts runs, however many: whoever is woken finds all.';

create trigger send_webhook after insert on public.messages
referencing new table as inserted
for each statement execute function engine.send_webhook();

create function engine.wake_workers() returns void
language plpgsql
volatile
security definer -- so that only whoever may execute it wakes workers in our name
set search_path = ''
as $$
begin
    -- A hint need not outlive a crash.
    perform pg_catalog.set_config('synchronous_commit', 'off', true);
    perform engine.wake('run');
end
$$;
comment on function engine.wake_workers() is
'Tells the workers that LISTEN to look for runs. Called by a service that has got a webhook.';

revoke all on function
engine.hmac_sha256(bytea, bytea), engine.sign_webhook(text, text, bigint, text),
engine.post_webhook(uuid, uuid), engine.send_webhook(), engine.wake_workers()
from public, anon, authenticated, service_role;
grant execute on function engine.wake_workers() to assistants_engine;
