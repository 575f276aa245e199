-- Purpose:   undoes that policies on public.assistants know tenants.
-- Guarantee: the policies of before, word for word.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy if exists "users read their own assistants" on public.assistants;
create policy "users read their own assistants" on public.assistants
for select to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users make assistants of their own" on public.assistants;
create policy "users make assistants of their own" on public.assistants
for insert to authenticated
with check ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users change their own assistants" on public.assistants;
create policy "users change their own assistants" on public.assistants
for update to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id)
with check ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "users delete their own assistants" on public.assistants;
create policy "users delete their own assistants" on public.assistants
for delete to authenticated
using ((select auth.jwt()) ->> 'sub' = user_id);

drop policy if exists "only tokens of our issuer count" on public.assistants;
create policy "only tokens of our issuer count" on public.assistants
as restrictive for all to authenticated
using ((select engine.caller_id()) is not null)
with check ((select engine.caller_id()) is not null);
