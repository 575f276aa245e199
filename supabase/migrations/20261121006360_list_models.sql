-- Purpose:   which models a user's assistant may name.
-- Guarantee: only names, which refusals tell anybody, too.
-- Caller:    the service, for `GET /v1/models`, as a member of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.list_models() returns jsonb
language sql
stable
security definer -- the service has no rights on tables
set search_path = ''
begin atomic
    select to_jsonb(s.user_models) from engine.settings as s;
end;
comment on function engine.list_models() is 'The ids of the models of engine.settings.user_models.';

create function public.service_list_models() returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.list_models();
end;
comment on function public.service_list_models() is 'engine.list_models over the Data API.';

revoke all on function engine.list_models(), public.service_list_models()
from public, anon, authenticated, service_role;
grant execute on function engine.list_models() to assistants_engine, service_role;
grant execute on function public.service_list_models() to service_role;
