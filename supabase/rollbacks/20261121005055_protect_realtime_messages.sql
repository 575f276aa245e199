-- Purpose:   undoes that policies on realtime.messages know tenants.
-- Guarantee: the policies of before, word for word.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

do $do$
begin
    if to_regclass('realtime.messages') is not null then
        drop policy if exists "members follow the sessions of their tenant" on realtime.messages;
        drop policy if exists "nobody follows another tenant's session" on realtime.messages;
    end if;
exception
    when insufficient_privilege then
        null; -- said below
end
$do$;

do $do$
begin
    if to_regclass('realtime.messages') is null or to_regprocedure('realtime.topic()') is null then
        return;
    end if;

    drop policy if exists "users follow their own sessions" on realtime.messages;
    create policy "users follow their own sessions" on realtime.messages
    for select to authenticated
    using (
        extension = 'broadcast'
        and exists (
            select from public.chat_sessions as s
            where s.user_id = (select auth.jwt()) ->> 'sub' and s.id = (
                select case
                    when realtime.topic() ~ '^session:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                    then substr(realtime.topic(), 9)::uuid
                end
            )
        )
    );

    drop policy if exists "users follow nobody else's session" on realtime.messages;
    create policy "users follow nobody else's session" on realtime.messages
    as restrictive for select to authenticated
    using (
        (select coalesce(realtime.topic(), '') !~ '^session:')
        or exists (
            select from public.chat_sessions as s
            where s.user_id = (select auth.jwt()) ->> 'sub' and s.id = (
                select case
                    when realtime.topic() ~ '^session:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                    then substr(realtime.topic(), 9)::uuid
                end
            )
        )
    );

    drop policy if exists "visitors follow no session" on realtime.messages;
    create policy "visitors follow no session" on realtime.messages
    as restrictive for select to anon
    using ((select coalesce(realtime.topic(), '') !~ '^session:'));

    drop policy if exists "only the service speaks in a session" on realtime.messages;
    create policy "only the service speaks in a session" on realtime.messages
    as restrictive for insert to anon, authenticated
    with check ((select coalesce(realtime.topic(), '') !~ '^session:'));
exception
    when insufficient_privilege then
        raise warning 'Realtime is not set up: paste supabase/policies/realtime/messages.sql into the SQL editor';
end
$do$;
