-- Purpose:   sessions and assistants of a browser need places, too.
-- Guarantee: nobody fills the tables with them; the service is not limited.
-- Caller:    every insert into chat_sessions and assistants.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.admit_rows() returns trigger
language plpgsql
security definer -- counts what a browser may not see
set search_path = ''
as $$
declare
    v_set engine.settings;
    v_count integer := 0;
    v_user engine.admissions;
begin
    if engine.caller_is_browser() then
        select pg_catalog.count(*) into v_count from inserted;
    end if;
    if v_count > 0 then
        select s.* into strict v_set from engine.settings s;
        v_user := engine.take_places(v_set, 'user', engine.caller_id(), 0,
            case tg_table_name when 'chat_sessions' then v_count else 0 end,
            case tg_table_name when 'assistants' then v_count else 0 end);
        perform engine.check_places(v_set, v_user, null, 0, null, null, v_count);
    end if;
    return null;
end
$$;
comment on function engine.admit_rows() is
'Trigger: a browser''s sessions and assistants take their places.';

create trigger admit_sessions after insert on public.chat_sessions
referencing new table as inserted
for each statement execute function engine.admit_rows();
create trigger admit_assistants after insert on public.assistants
referencing new table as inserted
for each statement execute function engine.admit_rows();

revoke all on function engine.admit_rows() from public, anon, authenticated, service_role;
