-- Purpose:   undoes that policies on public.shared_assistants know tenants.
-- Guarantee: the policies of before, word for word.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop policy if exists "users read the assistants shared with them" on public.shared_assistants;
create policy "users read the assistants shared with them" on public.shared_assistants
for select to authenticated
using (
    (select auth.jwt()) ->> 'sub' <> ''
    and (
        visibility = 'everyone'
        or org_id = nullif(
            coalesce((select auth.jwt()) ->> 'org_id', (select auth.jwt()) -> 'o' ->> 'id'), ''
        )
    )
);

drop policy if exists "only tokens of our issuer count" on public.shared_assistants;
create policy "only tokens of our issuer count" on public.shared_assistants
as restrictive for all to authenticated
using ((select engine.caller_id()) is not null)
with check ((select engine.caller_id()) is not null);
