-- Purpose:   which assistants an organisation's sessions use, and who may change those it shares.
-- Guarantee: nobody puts a private assistant into a session that others began: it would answer none.
-- Caller:    every write to assistants and chat_sessions.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.check_assistant() returns trigger
language plpgsql
security definer -- reads engine.settings, which a browser may not
set search_path = ''
as $$
declare
    v_settings engine.settings;
begin
    new.updated_at := pg_catalog.now();
    if not engine.caller_is_browser() then
        return new;
    end if;
    select * into strict v_settings from engine.settings;
    if not v_settings.user_assistants_allowed then
        raise exception 'users may not make assistants here' using errcode = '42501';
    end if;
    if new.model <> all (v_settings.user_models) then
        raise exception 'model % is not on the list of allowed models', new.model
            using errcode = '23514',
            hint = 'Allowed: ' || pg_catalog.array_to_string(v_settings.user_models, ', ');
    end if;
    perform engine.check_tools(new.tools, v_settings.user_tools);
    if new.visibility = 'organisation' and (tg_op = 'INSERT' or old.visibility <> 'organisation') then
        new.org_id := engine.caller_org_id();
        if new.org_id is null then
            raise exception 'no organisation is active to share the assistant with'
                using errcode = '23514', hint = 'Choose an organisation, or another visibility.';
        end if;
    end if;
    return new;
end
$$;

comment on function engine.check_assistant() is
'Trigger: a user''s assistant names only models and tools on the operator''s lists, and is shared with
the organisation that is active then.';

create or replace function engine.set_session_assistant() returns trigger
language plpgsql
security definer -- reads engine.settings, which a browser may not
set search_path = ''
as $$
begin
    if tg_op = 'UPDATE' then
        new.updated_at := pg_catalog.clock_timestamp();
        if new.assistant_id is not distinct from old.assistant_id then
            return new;
        end if;
    end if;
    if new.assistant_id is null then
        select s.default_assistant_id into new.assistant_id from engine.settings s;
        if new.assistant_id is null and tg_op = 'INSERT' then
            raise exception 'no default assistant is configured' using errcode = '23502',
                hint = 'Give assistant_id, or set default_assistant_id in engine.settings.';
        end if;
        return new;
    end if;
    if engine.caller_is_browser() and not engine.may_use_assistant(new.assistant_id) then
        raise exception 'assistant not found, or not yours to use' using errcode = '42501';
    end if;
    if new.org_id is not null and exists (
        select from public.assistants a
        where a.id = new.assistant_id and a.visibility = 'private' and a.user_id <> new.user_id
    ) then
        raise exception 'a private assistant answers only in its owner''s sessions'
            using errcode = '23514', hint = 'Share the assistant with the organisation first.';
    end if;
    return new;
end
$$;
