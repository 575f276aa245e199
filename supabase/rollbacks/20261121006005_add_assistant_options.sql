-- Purpose:   undoes that assistants have options.
-- Guarantee: what they were set to is lost.
-- Caller:    `assistants migrate --back-to`.

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

-- The release before knows nothing of the column.
-- squawk-ignore ban-drop-column
alter table public.assistants drop column options;
