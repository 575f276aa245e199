-- Who may do what on the topics `session:<id>` of Realtime (table realtime.messages)
--
--                | members, its user    | other users | anonymous | service role
--   follow       | broadcasts           | nothing     | nothing   | –
--   send         | nothing              | nothing     | nothing   | everything
--
-- Realtime asks when somebody joins a private topic, and again with each new token. The restrictive
-- policies hold against whatever else a project allows there, such as "everybody may receive".
-- On a hosted project the table is the platform's: where its owner refuses, paste this file into the
-- SQL editor.

set lock_timeout = '5s';

do $do$
begin
    if to_regclass('realtime.messages') is null or to_regprocedure('realtime.topic()') is null then
        return;
    end if;

    drop policy if exists "members follow the sessions of their tenant" on realtime.messages;
    create policy "members follow the sessions of their tenant" on realtime.messages
    for select to authenticated
    using (
        extension = 'broadcast'
        and exists (
            select from public.chat_sessions as s
            where s.tenant_id = (select c.tenant_id from engine.caller as c) and s.id = (
                select case
                    when realtime.topic() ~ '^session:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                    then substr(realtime.topic(), 9)::uuid
                end
            )
        )
    );

    drop policy if exists "nobody follows another tenant's session" on realtime.messages;
    create policy "nobody follows another tenant's session" on realtime.messages
    as restrictive for select to authenticated
    using (
        (select coalesce(realtime.topic(), '') !~ '^session:')
        or exists (
            select from public.chat_sessions as s
            where s.tenant_id = (select c.tenant_id from engine.caller as c) and s.id = (
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
