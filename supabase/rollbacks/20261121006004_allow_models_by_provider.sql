-- Purpose:   undoes that users may name models by their provider or beginning.
-- Guarantee: entries with * stay on the list, and allow nothing.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- The release before takes anything.
alter table engine.settings drop constraint settings_user_models_are_provider_and_name;
comment on column engine.settings.user_models is
'Models that an assistant made by a user may name.';
drop function engine.is_allowed_model(text, text[]);
drop function engine.are_model_patterns(text[]);
