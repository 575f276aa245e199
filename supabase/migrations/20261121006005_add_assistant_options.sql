-- Purpose:   how an assistant wants its model asked.
-- Guarantee: a user's fallbacks are on the operator's list, as the model itself; the operator's own
--            tools are on no list, and well-formed; what is wrong is named, also to the operator.
-- Caller:    whoever writes assistants.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table public.assistants add column options jsonb not null default '{}';
-- Each row has the default, so that validating reads nothing that could fail.
-- squawk-ignore constraint-missing-not-valid
alter table public.assistants add constraint assistants_options_check
check (engine.is_options(options) and engine.fits(options, 65536));
comment on column public.assistants.options is
'temperature, top_p, max_output_tokens, reasoning_effort, response_format, tool_choice,
parallel_tool_calls, truncation, fallback_models, fallback_after_words, cache, service.';

create or replace function engine.check_assistant() returns trigger
language plpgsql
security definer -- reads engine.settings, which a browser may not
set search_path = ''
as $$
declare
    v_settings engine.settings;
    v_refused text;
begin
    new.updated_at := pg_catalog.now();
    if new.model !~ '^[a-z0-9_-]+:[^[:space:]]{1,200}$' then
        raise exception 'model "%" is not provider:name', pg_catalog.left(new.model, 200)
            using errcode = '23514',
            hint = 'Such as openai:gpt-6-luna: the provider in lower case, and no spaces.';
    end if;
    perform engine.check_options(new.options);
    if not engine.caller_is_browser() then
        if tg_op = 'INSERT' or new.tools is distinct from old.tools then
            perform engine.check_tools(new.tools, null);
        end if;
        return new;
    end if;
    select * into strict v_settings from engine.settings;
    if not v_settings.user_assistants_allowed then
        raise exception 'users may not make assistants here' using errcode = '42501';
    end if;
    if not engine.is_allowed_model(new.model, v_settings.user_models) then
        raise exception 'model % is not on the list of allowed models', new.model
            using errcode = '23514',
            hint = 'Allowed: ' || pg_catalog.array_to_string(v_settings.user_models, ', ');
    end if;
    select f.model into v_refused
    from pg_catalog.jsonb_array_elements_text(new.options -> 'fallback_models') as f (model)
    where not engine.is_allowed_model(f.model, v_settings.user_models) limit 1;
    if v_refused is not null then
        raise exception 'fallback model % is not on the list of allowed models', v_refused
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
'Trigger: a row names its model and options in their form; a user''s assistant names only models and
tools on the operator''s lists, and is shared with the organisation that is active then.';
