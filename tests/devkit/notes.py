"""A small schema with what makes a Data API stumble: types, policies, errors on purpose."""

NOTES = """
create table public.notes (
    id bigint generated always as identity primary key,
    owner text not null default (auth.jwt() ->> 'sub'),
    body text not null check (body <> 'forbidden'),
    price numeric,
    big bigint,
    tags text[],
    raw bytea,
    near extensions.vector(2),
    extra jsonb,
    made_at timestamptz not null default '2026-11-21 00:09:31.5+00'
);
alter table public.notes enable row level security;
revoke all on public.notes from anon, authenticated, service_role;
grant select, update, delete on public.notes to authenticated;
grant insert (body, price, big, tags, raw, near, extra) on public.notes to authenticated;
grant all on public.notes to service_role;
create policy "owners" on public.notes to authenticated
    using ((select auth.jwt()) ->> 'sub' = owner) with check ((select auth.jwt()) ->> 'sub' = owner);

create function public.refuse(p_state text, p_message text, p_detail text default null)
returns void language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = p_state, message = p_message, detail = coalesce(p_detail, '');
end $$;

create function public.seen() returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'role', current_user,
        'claims', auth.jwt(),
        'agent', current_setting('request.headers')::jsonb ->> 'x-probe',
        'method', current_setting('request.method'),
        'timeout', current_setting('statement_timeout')
    ) $$;

create function public.kind(p_value jsonb) returns text language sql set search_path = '' as $$
    select pg_catalog.jsonb_typeof(p_value) $$;

create function public.sleep(p_seconds float8) returns void language sql set search_path = '' as $$
    select pg_catalog.pg_sleep(p_seconds) $$;
"""
