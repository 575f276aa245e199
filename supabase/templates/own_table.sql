-- Purpose:   own_rows: each row belongs to one user, who alone reads and writes it.
-- Guarantee: a foreign and a missing row look alike; the owner comes from the token, never from the
--            browser; visitors are refused before any policy is asked.
-- Caller:    browsers, over the Data API.
--
-- Who may do what with public.own_rows
--
--                | owner_id                                          | other users | anonymous
--   select       | own rows                                          | nothing     | refused
--   insert       | content                                           | –           | refused
--   update       | content of own rows                               | nothing     | refused
--   delete       | own rows                                          | nothing     | refused
--
-- All of it only with a token that counts: of the issuer in engine.settings, and not pending.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table public.own_rows (
    id uuid primary key default gen_random_uuid(),
    owner_id text not null default (auth.jwt() ->> 'sub') check (owner_id <> ''),
    content text not null check (char_length(content) <= 10000),
    created_at timestamptz not null default now()
);
comment on table public.own_rows is 'Rows of one user each.';
comment on column public.own_rows.owner_id is 'The Clerk user id, as text: it is no uuid.';

-- What a policy finds rows by leads an index.
create index own_rows_owner_id_created_at_idx on public.own_rows (owner_id, created_at desc);

alter table public.own_rows enable row level security;
-- Some projects grant everything on new tables to everybody.
revoke all on public.own_rows from public, anon, authenticated, service_role;
-- The columns that a browser writes, and no others: not the owner, not the times.
grant select, delete on public.own_rows to authenticated;
grant insert (content), update (content) on public.own_rows to authenticated;
grant select, insert, update, delete on public.own_rows to service_role;

create policy "users read their own own_rows" on public.own_rows
for select to authenticated
using ((select auth.jwt()) ->> 'sub' = owner_id);

create policy "users write own_rows of their own" on public.own_rows
for insert to authenticated
with check ((select auth.jwt()) ->> 'sub' = owner_id);

create policy "users change their own own_rows" on public.own_rows
for update to authenticated
using ((select auth.jwt()) ->> 'sub' = owner_id)
with check ((select auth.jwt()) ->> 'sub' = owner_id);

create policy "users delete their own own_rows" on public.own_rows
for delete to authenticated
using ((select auth.jwt()) ->> 'sub' = owner_id);

create policy "only tokens of our issuer count" on public.own_rows
as restrictive for all to authenticated
using ((select c.id from engine.caller as c) is not null)
with check ((select c.id from engine.caller as c) is not null);
