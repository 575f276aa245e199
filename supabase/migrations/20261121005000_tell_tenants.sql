-- Purpose:   who asks, and whose rows they reach: the active organisation's, else their own.
-- Guarantee: a token that does not count is nobody: of a foreign issuer, pending, without a subject, or
--            unclear about its organisation, which Clerk says in two ways. An organisation and a user
--            never have one id: organisations' start with `org_`, and a subject that does is nobody.
-- Caller:    policies, as whoever asks; the functions behind them.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- Reading the settings would cost each statement 0.02 ms, a function 0.01: a tenth of a page. Views
-- become part of the statement, and the issuer a constant in it.
create view engine.pinned_issuer with (security_invoker = true) as select null::text as issuer;
comment on view engine.pinned_issuer is
'engine.settings.token_issuer as a constant. Kept by a trigger; nobody else writes here.';

create function engine.pin_issuer() returns trigger
language plpgsql
security definer -- owns the view, whoever changes the settings
set search_path = ''
set lock_timeout = '5s' -- it waits for whoever reads the view, and who comes later waits for it
as $$
begin
    if new.token_issuer is distinct from (select p.issuer from engine.pinned_issuer p) then
        execute pg_catalog.format(
            'create or replace view engine.pinned_issuer with (security_invoker = true) as'
            ' select %s::text as issuer', pg_catalog.quote_nullable(new.token_issuer));
    end if;
    return null;
end
$$;
comment on function engine.pin_issuer() is
'Trigger: engine.pinned_issuer says what engine.settings says.';
create trigger pin_issuer after insert or update of token_issuer on engine.settings
for each row execute function engine.pin_issuer();
-- Also where a restore switches triggers off.
alter table engine.settings enable always trigger pin_issuer;
update engine.settings set token_issuer = token_issuer where token_issuer is not null;

create view engine.caller with (security_invoker = true) as
select
    u.id,
    u.org_id,
    coalesce(u.org_id, u.id) as tenant_id,
    coalesce(u.org_id is not null and u.role in ('admin', 'org:admin'), false) as is_admin
from (
    select
        nullif(t.token ->> 'sub', '') as id,
        coalesce(nullif(t.token ->> 'org_id', ''), nullif(t.token -> 'o' ->> 'id', '')) as org_id,
        case jsonb_typeof(t.token -> 'o')
            when 'object' then t.token -> 'o' ->> 'rol' else t.token ->> 'org_role'
        end as role
    -- One row: the limit keeps the token from being read again for each condition.
    from (select auth.jwt() as token limit 1) as t -- noqa: AM09
    cross join engine.pinned_issuer as p
    where
        (p.issuer is null or t.token ->> 'iss' = p.issuer)
        and jsonb_typeof(t.token -> 'sub') = 'string'
        and coalesce(t.token ->> 'sts', 'active') = 'active'
        and coalesce(jsonb_typeof(t.token -> 'o'), 'null') in ('null', 'object')
        and (
            t.token ->> 'org_id' is null
            or coalesce(jsonb_typeof(t.token -> 'o'), 'null') = 'null'
            or t.token ->> 'org_id' = t.token -> 'o' ->> 'id'
        )
) as u
where
    not starts_with(u.id, 'org_')
    and starts_with(coalesce(u.org_id, 'org_'), 'org_');
comment on view engine.caller is
'Who asks, one row or none: the user, the active organisation or null, whose rows they reach, and
whether they are an admin there (Clerk''s role `org:admin`).';

revoke all on engine.pinned_issuer, engine.caller from public, anon, authenticated, service_role;
grant select on engine.pinned_issuer, engine.caller to authenticated;
revoke all on function engine.pin_issuer() from public, anon, authenticated, service_role;
