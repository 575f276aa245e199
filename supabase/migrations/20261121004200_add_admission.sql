-- Purpose:   how much a user and an organisation may insert and have answered at a time.
-- Guarantee: a limit holds for statements at the same time, too: a place is taken by updating one
--            row, which is locked until the transaction ends, and given back where that fails.
--            A user's row is taken after the session's and before a run's; an organisation's comes
--            last of all, so that no member holds up the others for longer than a commit takes.
-- Caller:    the triggers and functions of the next migration. No role may execute these.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table engine.settings
add column user_messages_per_minute integer default 60
check (user_messages_per_minute between 1 and 1000000),
add column user_messages_per_day integer default 2000
check (user_messages_per_day between 1 and 1000000),
add column user_open_runs integer default 20 check (user_open_runs between 1 and 1000000),
add column user_sessions_per_day integer default 500
check (user_sessions_per_day between 1 and 1000000),
add column user_assistants_per_day integer default 100
check (user_assistants_per_day between 1 and 1000000),
add column org_messages_per_minute integer default 1200
check (org_messages_per_minute between 1 and 1000000),
add column org_messages_per_day integer default 40000
check (org_messages_per_day between 1 and 1000000),
add column org_open_runs integer default 400 check (org_open_runs between 1 and 1000000);
comment on column engine.settings.user_messages_per_minute is
'Messages and regenerations of one user: so many at once, then evenly so many a minute. Null: no limit.
Nobody types sixty messages a minute, a loop in a frontend does.';
comment on column engine.settings.user_messages_per_day is
'The same for a day: what a leaked token or a script can cost in a day.';
comment on column engine.settings.user_open_runs is
'Runs of one user that have not ended and are not being cancelled.';
comment on column engine.settings.user_sessions_per_day is 'Sessions that one user starts.';
comment on column engine.settings.user_assistants_per_day is 'Assistants that one user makes.';
comment on column engine.settings.org_messages_per_minute is
'Of all members, in sessions of the organisation. The three defaults are twenty busy users''.';

-- No index but the key, and room in each page: taking a place touches no index.
create table engine.admissions (
    scope text not null check (scope in ('user', 'organisation')),
    id text not null,
    minute_clear_at timestamptz not null default clock_timestamp(),
    day_clear_at timestamptz not null default clock_timestamp(),
    sessions_clear_at timestamptz not null default clock_timestamp(),
    assistants_clear_at timestamptz not null default clock_timestamp(),
    primary key (scope, id)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.admissions is
'How full the buckets of a user or an organisation are: the moments when they will have run empty.
One is full when that is a whole period away; then it takes one more whenever it has lost one.';
alter table engine.admissions enable row level security;
revoke all on engine.admissions from public, anon, authenticated, service_role;

-- Runs are never deleted, so these are what keeps counting the open ones cheap.
-- squawk-ignore require-concurrent-index-creation
create index runs_open_user_id_idx on engine.runs (user_id)
where ended_at is null and cancel_requested_at is null;
-- squawk-ignore require-concurrent-index-creation
create index runs_open_org_id_idx on engine.runs (org_id)
where org_id is not null and ended_at is null and cancel_requested_at is null;

create function engine.take_places(
    p_set engine.settings, p_scope text, p_id text,
    p_messages integer, p_sessions integer, p_assistants integer
) returns engine.admissions
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_is_user boolean := p_scope = 'user';
    v_zero interval := interval '0';
    -- How much later each bucket will have run empty.
    v_minute interval := coalesce(interval '1 minute' * p_messages / case when v_is_user
        then p_set.user_messages_per_minute else p_set.org_messages_per_minute end, v_zero);
    v_day interval := coalesce(interval '24 hours' * p_messages / case when v_is_user
        then p_set.user_messages_per_day else p_set.org_messages_per_day end, v_zero);
    v_sessions interval := coalesce(
        interval '24 hours' * p_sessions / p_set.user_sessions_per_day, v_zero);
    v_assistants interval := coalesce(
        interval '24 hours' * p_assistants / p_set.user_assistants_per_day, v_zero);
    v_now timestamptz := pg_catalog.clock_timestamp();
    v_taken engine.admissions;
begin
    -- Nobody waits for a lock that decides nothing.
    if v_is_user and coalesce(p_set.user_messages_per_minute, p_set.user_messages_per_day,
        p_set.user_open_runs, p_set.user_sessions_per_day, p_set.user_assistants_per_day) is null
        or not v_is_user and coalesce(p_set.org_messages_per_minute,
            p_set.org_messages_per_day, p_set.org_open_runs) is null
    then
        return null;
    end if;
    insert into engine.admissions as a
        (scope, id, minute_clear_at, day_clear_at, sessions_clear_at, assistants_clear_at)
    values (p_scope, p_id, v_now + v_minute, v_now + v_day, v_now + v_sessions, v_now + v_assistants)
    on conflict (scope, id) do update set
        -- Not v_now: somebody else's turn may have lain between.
        minute_clear_at = greatest(a.minute_clear_at, pg_catalog.clock_timestamp()) + v_minute,
        day_clear_at = greatest(a.day_clear_at, pg_catalog.clock_timestamp()) + v_day,
        sessions_clear_at = greatest(a.sessions_clear_at, pg_catalog.clock_timestamp()) + v_sessions,
        assistants_clear_at =
            greatest(a.assistants_clear_at, pg_catalog.clock_timestamp()) + v_assistants
    returning a.* into v_taken;
    return v_taken;
end
$$;
comment on function engine.take_places(engine.settings, text, text, integer, integer, integer) is
'The row after so many have come into its buckets, perhaps over their brim; it is locked until the
transaction ends. engine.check_places decides. Null where the scope has no limit at all.';

revoke all on function
engine.take_places(engine.settings, text, text, integer, integer, integer)
from public, anon, authenticated, service_role;
