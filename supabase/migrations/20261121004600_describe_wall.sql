-- Purpose:   the wall as the database has it: policies, row security, grants, definers, search paths,
--            triggers and constraints, so that `assistants doctor --policies` can compare it with what
--            the release promises.
-- Guarantee: reads the catalogue alone: names and definitions, never a row. Everything in `engine`; in
--            `public` only what has one of the names asked for; of `realtime` and `storage` only the
--            policies and row security of the one table where the product has policies.
-- Caller:    the doctor, as a member of assistants_engine or with the secret key.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.describe_wall(p_public text[]) returns jsonb
language plpgsql
stable
security invoker -- everybody may read the catalogue
set search_path = ''
as $$
declare
    v_owner oid := (select s.nspowner from pg_catalog.pg_namespace s where s.nspname = 'engine');
begin
    return (with relations as materialized (
        select c.*, s.nspname || '.' || c.relname as name, s.nspname in ('engine', 'public') as is_ours
        from pg_catalog.pg_class c
        inner join pg_catalog.pg_namespace s on c.relnamespace = s.oid
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and (
            s.nspname = 'engine' or (s.nspname = 'public' and c.relname = any (p_public))
            or (s.nspname, c.relname) in (('realtime', 'messages'), ('storage', 'objects')))
    ), things (kind, name, owner, acl, facts) as (
        select 'schema', s.nspname::text, s.nspowner,
            coalesce(s.nspacl, pg_catalog.acldefault('n', s.nspowner)), '{}'::jsonb
        from pg_catalog.pg_namespace s
        where s.nspname in ('engine', 'public')
        union all
        select
            case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end,
            c.name, c.relowner,
            case when c.is_ours then coalesce(c.relacl, pg_catalog.acldefault(
                case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner)) end,
            pg_catalog.jsonb_build_object(
                'row_security', case when c.relkind in ('r', 'p') then c.relrowsecurity end,
                'forced', case when c.relkind in ('r', 'p') then c.relforcerowsecurity end,
                'options', case when c.relkind = 'v' then c.reloptions end,
                'body', case when c.relkind = 'v' then pg_catalog.pg_get_viewdef(c.oid) end)
        from relations c
        union all
        select 'column', c.name || '.' || a.attname, c.relowner, a.attacl,
            pg_catalog.jsonb_build_object('default', pg_catalog.pg_get_expr(d.adbin, d.adrelid))
        from relations c
        inner join pg_catalog.pg_attribute a on c.oid = a.attrelid
        left join pg_catalog.pg_attrdef d on a.attrelid = d.adrelid and a.attnum = d.adnum
        where c.is_ours and c.relkind <> 'S' and a.attnum > 0 and not a.attisdropped
        union all
        select 'function', p.oid::pg_catalog.regprocedure::text, p.proowner,
            coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)),
            pg_catalog.jsonb_build_object(
                'definer', p.prosecdef, 'settings', p.proconfig,
                'body', pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
                    coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc), 'UTF8')), 'hex'))
        from pg_catalog.pg_proc p
        inner join pg_catalog.pg_namespace s on p.pronamespace = s.oid
        where s.nspname = 'engine' or (s.nspname = 'public' and p.proname = any (p_public))
        union all
        select 'policy', c.name || ': ' || p.polname, c.relowner, null,
            pg_catalog.jsonb_build_object(
                'command', p.polcmd, 'permissive', p.polpermissive,
                'roles', array(
                    select coalesce(r.rolname, 'public') from pg_catalog.unnest(p.polroles) u (id)
                    left join pg_catalog.pg_roles r on u.id = r.oid order by 1),
                'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
        from relations c inner join pg_catalog.pg_policy p on c.oid = p.polrelid
        union all
        select 'trigger', c.name || ': ' || t.tgname, c.relowner, null,
            pg_catalog.jsonb_build_object(
                'enabled', t.tgenabled, 'body', pg_catalog.pg_get_triggerdef(t.oid))
        from relations c inner join pg_catalog.pg_trigger t on c.oid = t.tgrelid
        where c.is_ours and not t.tgisinternal
        union all
        select 'constraint', c.name || ': ' || k.conname, c.relowner, null,
            pg_catalog.jsonb_build_object('body', pg_catalog.pg_get_constraintdef(k.oid))
        from relations c inner join pg_catalog.pg_constraint k on c.oid = k.conrelid
        where c.is_ours and k.contype in ('c', 'f', 'p', 'u', 'x')
        union all
        select 'role', r.rolname, v_owner, null,
            pg_catalog.jsonb_build_object(
                'superuser', r.rolsuper, 'bypassrls', r.rolbypassrls, 'createrole', r.rolcreaterole,
                'member_of', array(
                    select m.roleid::pg_catalog.regrole::text from pg_catalog.pg_auth_members m
                    where m.member = r.oid order by 1))
        from pg_catalog.pg_roles r
        where r.rolname in ('anon', 'authenticated', 'assistants_engine', 'assistants_service')
    )

    select pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(t.facts || pg_catalog.jsonb_build_object(
        'kind', t.kind, 'name', t.name,
        'owner', case when t.owner <> v_owner and t.acl is not null and t.kind <> 'schema'
            then t.owner::pg_catalog.regrole::text end,
        'grants', (
            select pg_catalog.jsonb_object_agg(g.grantee, g.rights) from (
                select coalesce(r.rolname, 'public') as grantee,
                    pg_catalog.string_agg(pg_catalog.lower(a.privilege_type)
                        || case when a.is_grantable then '*' else '' end, ' '
                        order by a.privilege_type) as rights
                from pg_catalog.aclexplode(t.acl) a
                left join pg_catalog.pg_roles r on a.grantee = r.oid
                -- The schema `public` is the platform's: who else uses it is not ours to say.
                where a.grantee not in (t.owner, v_owner) and (
                    t.kind <> 'schema' or t.name <> 'public' or (
                        a.privilege_type = 'CREATE' and coalesce(r.rolname, 'public')
                        in ('public', 'anon', 'authenticated', 'service_role')))
                group by 1) g))) order by t.kind, t.name)
    from things t);
end
$$;
comment on function engine.describe_wall(text[]) is
'[{"kind", "name", …}]: schemas, tables, views, columns, sequences, functions, policies, triggers,
constraints and roles of the product, each with what guards it. p_public: names to describe in `public`.';

create function public.service_describe_wall(p_public text[]) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select engine.describe_wall(p_public);
end;
comment on function public.service_describe_wall(text[]) is
'engine.describe_wall over the Data API.';

revoke all on function engine.describe_wall(text[]), public.service_describe_wall(text[])
from public, anon, authenticated, service_role;
grant execute on function engine.describe_wall(text[]) to assistants_engine, service_role;
grant execute on function public.service_describe_wall(text[]) to service_role;
