-- Purpose:   the keys of models' providers from Supabase Vault, where the project has it.
-- Guarantee: of all secrets only those whose names begin with `assistants_` and end in `_api_key`.
-- Caller:    workers, as members of assistants_engine. Without Vault it says so and reads nothing.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.read_model_key(p_provider text) returns jsonb
language plpgsql
stable
security definer -- the service has no rights on Vault
set search_path = ''
as $$
declare
    -- Text: the schema need not exist.
    v_read text := 'select s.decrypted_secret from vault.decrypted_secrets s where s.name = $1';
    v_key text;
begin
    if pg_catalog.to_regclass('vault.decrypted_secrets') is null then
        return pg_catalog.jsonb_build_object('state', 'no_vault');
    end if;
    execute v_read into v_key using 'assistants_' || p_provider || '_api_key';
    return pg_catalog.jsonb_build_object(
        'state', case when v_key is null then 'missing' else 'found' end, 'key', v_key);
exception
    when insufficient_privilege then
        return pg_catalog.jsonb_build_object('state', 'not_permitted');
end
$$;
comment on function engine.read_model_key(text) is
'{"state", "key"}: found, missing (no secret named assistants_<provider>_api_key),
no_vault, or not_permitted (the owner of this function may not read Vault).';

create function public.service_read_model_key(p_provider text) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.read_model_key(p_provider);
end;
comment on function public.service_read_model_key(text) is
'engine.read_model_key over the Data API.';

revoke all on function engine.read_model_key(text), public.service_read_model_key(text)
from public, anon, authenticated, service_role;
grant execute on function engine.read_model_key(text) to assistants_engine, service_role;
grant execute on function public.service_read_model_key(text) to service_role;
