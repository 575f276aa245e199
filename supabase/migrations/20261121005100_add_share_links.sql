-- Purpose:   a session is shown, read-only, to whoever has a link, until the link is revoked.
-- Guarantee: a link is 256 random bits and kept nowhere; its row's id is half of its hash. It opens
--            the title and the words of the current branch, of one session, and nothing else. A link
--            that was never made, is revoked or has expired gives one and the same answer.
-- Caller:    a browser makes and revokes links; anybody reads.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table public.session_shares (
    id uuid primary key,
    session_id uuid not null,
    user_id text not null,
    org_id text,
    tenant_id text generated always as (coalesce(org_id, user_id)) stored,
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    foreign key (session_id, user_id) references public.chat_sessions (id, user_id)
    on update cascade on delete cascade
);
comment on table public.session_shares is
'Links that show a session. share_session makes one, deleting the row revokes it.';
comment on column public.session_shares.id is 'The first 16 bytes of the link''s SHA-256.';
comment on column public.session_shares.expires_at is 'When the link ends by itself; null: never.';
alter table public.session_shares enable row level security;
revoke all on public.session_shares from public, anon, authenticated, service_role;
create index session_shares_session_id_idx on public.session_shares (session_id, user_id);
create index session_shares_tenant_id_idx on public.session_shares (tenant_id, created_at desc);

create function engine.share_id(p_token text) returns uuid
language sql
immutable
security invoker
set search_path = ''
begin atomic
    select encode(substr(sha256(convert_to(p_token, 'UTF8')), 1, 16), 'hex')::uuid;
end;
comment on function engine.share_id(text) is 'The id of the row of a link; for any text there is one.';

create function engine.share_own_session(p_session uuid, p_expires_at timestamptz)
returns table (id uuid, token text, expires_at timestamptz)
language plpgsql
volatile
security definer -- a browser writes no links: it could choose weak ones
set search_path = ''
as $$
declare
    v_session public.chat_sessions;
    v_token text := pg_catalog.translate(pg_catalog.encode(pg_catalog.sha256(
        pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
        || pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
        || pg_catalog.uuid_send(pg_catalog.gen_random_uuid())), 'base64'), '+/=', '-_');
begin
    select s.* into v_session from public.chat_sessions s
    where s.id = p_session and s.tenant_id = engine.caller_tenant();
    if v_session.id is null or engine.lock_session(v_session.id) is null then
        raise exception 'session not found, or not yours' using errcode = '42501';
    elsif v_session.user_id <> engine.caller_id() and not engine.caller_is_admin() then
        raise exception 'only who started the session, or an admin, may share it'
            using errcode = '42501';
    elsif p_expires_at <= pg_catalog.clock_timestamp() then
        raise exception 'expires_at lies in the past' using errcode = '23514';
    elsif 100 <= (select pg_catalog.count(*) from public.session_shares o
        where o.session_id = v_session.id) then
        raise exception 'the session has 100 links' using errcode = '23514',
            hint = 'Delete rows of session_shares that are not needed any more.';
    end if;
    insert into public.session_shares as made
        (id, session_id, user_id, org_id, created_by, expires_at)
    values (engine.share_id(v_token), v_session.id, v_session.user_id, v_session.org_id,
        engine.caller_id(), p_expires_at)
    returning made.id, v_token, made.expires_at into id, token, expires_at;
    return next;
end
$$;
comment on function engine.share_own_session(uuid, timestamptz) is
'Makes a link; its token is told here and never again.';

create function public.share_session(p_session uuid, p_expires_at timestamptz default null)
returns table (id uuid, token text, expires_at timestamptz)
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select
        made.id,
        made.token,
        made.expires_at
    from engine.share_own_session(p_session, p_expires_at) as made;
end;
comment on function public.share_session(uuid, timestamptz) is
'Makes a link to your session: {"id", "token", "expires_at"}. Who has the token reads the session with
read_shared_session; deleting the row of session_shares revokes it.';

revoke all on function engine.share_id(text), engine.share_own_session(uuid, timestamptz),
public.share_session(uuid, timestamptz) from public, anon, authenticated, service_role;
grant execute on function
engine.share_own_session(uuid, timestamptz), public.share_session(uuid, timestamptz)
to authenticated;
