-- Purpose:   which models users may name: one by one, all of a provider, or all that begin alike.
-- Guarantee: an entry that could allow no model cannot be written.
-- Caller:    the trigger of assistants; the operator writes engine.settings.user_models.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.are_model_patterns(p_patterns text[]) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        coalesce(bool_and(coalesce(
            p.pattern ~ '^[a-z0-9_-]+:([^[:space:]*]{1,200}|[^[:space:]*]{0,200}[*])$', false
        )), true)
    from unnest(p_patterns) as p (pattern);
end;
comment on function engine.are_model_patterns(text[]) is
'Whether each entry is provider:name, provider:*, or the beginning of ids with * at its end.';

create function engine.is_allowed_model(p_model text, p_patterns text[]) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        exists(
            select from unnest(p_patterns) as p (pattern)
            where
                p_model = p.pattern
                or (p.pattern like '%*' and starts_with(p_model, rtrim(p.pattern, '*')))
        );
end;
comment on function engine.is_allowed_model(text, text[]) is
'Whether the model is one of the list, or begins as an entry that ends with *.';

-- What could never allow a model is of no use to anybody, and would stand in the way.
update engine.settings as s
set
    user_models = array(
        select u.pattern from unnest(s.user_models) with ordinality as u (pattern, place)
        where engine.are_model_patterns(array[u.pattern])
        order by u.place
    )
where not engine.are_model_patterns(s.user_models);

-- One row, just made to fit.
-- squawk-ignore constraint-missing-not-valid
alter table engine.settings add constraint settings_user_models_are_provider_and_name
check (engine.are_model_patterns(user_models));
comment on column engine.settings.user_models is
'Models that an assistant made by a user may name: provider:name, provider:* for all of a provider, or
a beginning such as openai:gpt-6-*.';

revoke all on function
engine.are_model_patterns(text[]), engine.is_allowed_model(text, text[])
from public, anon, authenticated, service_role;
