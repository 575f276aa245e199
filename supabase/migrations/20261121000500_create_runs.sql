-- Purpose:   runs (the queue), their steps and their events.
-- Guarantee: a session has one live run at most, a browser's message one run, a run one order.
-- Caller:    the engine's functions; a browser reads public.runs.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table engine.runs (
    id uuid primary key default gen_random_uuid(),
    queued_no bigint generated always as identity,
    session_id uuid not null,
    user_id text not null,
    org_id text,
    message_id uuid,
    assistant_id uuid references public.assistants (id) on delete set null,
    model text not null,
    origin text not null check (origin in ('insert', 'regenerate', 'api', 'schedule')),
    status text not null check (
        status in (
            'waiting', 'ready', 'running', 'requires_action', 'cancelling',
            'completed', 'incomplete', 'failed', 'cancelled', 'expired'
        )
    ),
    priority smallint not null default 0,
    fence bigint not null default 0,
    failures integer not null default 0,
    worker text,
    lease_until timestamptz,
    run_after timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    cancel_requested_at timestamptz,
    cancel_reason text check (cancel_reason in ('cancelled', 'superseded', 'deleted')),
    required_action jsonb,
    said_message_id uuid,
    error text check (error ~ '^[a-z0-9_]{1,64}$'),
    usage jsonb,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    ended_at timestamptz,
    events_purged boolean not null default false,
    check ((status in ('running', 'cancelling')) = (lease_until is not null)),
    foreign key (session_id, user_id) references public.chat_sessions (id, user_id)
    on update cascade on delete cascade
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
comment on table engine.runs is
'One answer being made. Ready, running, requires_action and cancelling hold the session''s live slot.';
comment on column engine.runs.message_id is
'The message being answered; null once it is deleted. No foreign key: a cascade would lock the run
before the session.';
comment on column engine.runs.queued_no is 'The order among waiting and among ready runs.';
comment on column engine.runs.fence is
'Incremented by every claim, never reset: who holds the newest fence may write.';
comment on column engine.runs.failures is
'Lost leases and retryable errors since the last checkpoint; compared with max_failures.';
comment on column engine.runs.said_message_id is
'The last text that was stored on the way, whether or not its row was deleted since.';
comment on column engine.runs.cancel_requested_at is
'On a waiting run: it ends as cancelled when its turn comes, so that the path stays in order.';

create unique index runs_live_idx on engine.runs (session_id)
where status in ('ready', 'running', 'requires_action', 'cancelling');
create index runs_ready_idx on engine.runs (priority, run_after, queued_no) where status = 'ready';
create index runs_waiting_idx on engine.runs (session_id, queued_no) where status = 'waiting';
create index runs_lease_until_idx on engine.runs (lease_until)
where status in ('running', 'cancelling');
create index runs_expires_at_idx on engine.runs (expires_at) where status = 'requires_action';
create unique index runs_message_id_idx on engine.runs (message_id) where origin = 'insert';
create index runs_session_id_user_id_idx on engine.runs (session_id, user_id, queued_no desc);
create index runs_user_id_idx on engine.runs (user_id);
create index runs_assistant_id_idx on engine.runs (assistant_id);
create index runs_ended_at_idx on engine.runs (ended_at)
where ended_at is not null and not events_purged;

create table engine.run_steps (
    run_id uuid not null references engine.runs (id) on delete cascade,
    position integer not null check (position >= 0),
    type text not null check (type in ('tool_call')),
    status text not null check (status in ('requires_action', 'completed', 'failed')),
    data jsonb not null
    check (jsonb_typeof(data) = 'object' and engine.fits(data, 1048576)),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (run_id, position)
);
comment on table engine.run_steps is
'Checkpoints: tool calls {"call_id", "name", "arguments", "output"}. A retry repeats none of them.';

create table engine.events (
    run_id uuid not null references engine.runs (id) on delete cascade,
    seq integer not null check (seq > 0),
    type text not null check (type ~ '^[a-z_]+[.][a-z_]+$'),
    data jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (run_id, seq)
) with (autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.events is
'What a run streamed. seq is contiguous from 1, given by whoever holds the fence.';

alter table engine.runs enable row level security;
alter table engine.run_steps enable row level security;
alter table engine.events enable row level security;
revoke all on engine.runs, engine.run_steps, engine.events
from public, anon, authenticated, service_role;

create view public.runs with (security_invoker = true) as
select
    id,
    session_id,
    user_id,
    org_id,
    message_id,
    assistant_id,
    model,
    origin,
    case
        when status = 'waiting' and cancel_requested_at is not null then 'cancelling'
        else status
    end as status,
    required_action,
    error,
    usage,
    queued_no,
    created_at,
    started_at,
    ended_at,
    expires_at
from engine.runs;
comment on view public.runs is
'What the owner may see of runs; the row-level security of the table beneath decides.';
revoke all on public.runs from public, anon, authenticated, service_role;
