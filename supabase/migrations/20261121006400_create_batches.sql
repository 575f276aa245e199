-- Purpose:   questions of runs that may wait, and the batches in which they are sent to a provider.
-- Guarantee: a run asks each of its questions of a model once, however often it is claimed.
-- Caller:    the engine's functions. No browser sees these tables.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table engine.settings add column batch_wait_s integer not null default 90000
check (batch_wait_s between 60 and 604800);
comment on column engine.settings.batch_wait_s is
'How long a run may wait for an answer out of a batch, before its model is asked directly.';

create table engine.batches (
    id uuid primary key default gen_random_uuid(),
    provider text not null check (provider ~ '^[a-z0-9_-]{1,40}$'),
    grouping text not null check (length(grouping) <= 1000),
    vendor_id text check (length(vendor_id) <= 200),
    state text not null default 'submitting' check (state in ('submitting', 'open', 'ended')),
    askers jsonb not null,
    attempts integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    looks_at timestamptz not null default clock_timestamp(),
    holder text,
    lease_until timestamptz,
    ended_at timestamptz,
    constraint batches_opened_check check (state <> 'open' or vendor_id is not null),
    constraint batches_ended_at_check check ((state = 'ended') = (ended_at is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.batches is
'What was sent to a provider at once. Submitting: it may be there already, and its id unknown here.';
comment on column engine.batches.grouping is
'What its questions have in common, as the provider wants it: the model, and a hash of the key.';
comment on column engine.batches.askers is
'{item: {"run_id", "user_id", "org_id", "assistant_id"}}: who pays, also when the run is gone.';
comment on column engine.batches.attempts is
'How often a worker has taken it; from the second time on the provider is searched for it first.';
comment on column engine.batches.looks_at is 'When the next worker looks at it, unless another does.';
create index batches_looks_at_idx on engine.batches (looks_at) where state <> 'ended';
create index batches_ended_at_idx on engine.batches (ended_at) where state = 'ended';

create table engine.batch_items (
    id uuid primary key default gen_random_uuid(),
    run_id uuid not null references engine.runs (id) on delete cascade,
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    provider text not null check (provider ~ '^[a-z0-9_-]{1,40}$'),
    model text not null check (model <> '' and length(model) <= 200),
    grouping text not null check (length(grouping) <= 1000),
    body text not null,
    bytes integer not null check (bytes >= 0),
    state text not null default 'queued' check (state in ('queued', 'sent', 'done', 'expired')),
    answer jsonb,
    batch_id uuid references engine.batches (id),
    created_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    unique (run_id, digest, provider, model),
    constraint batch_items_ended_at_check
    check ((state in ('done', 'expired')) = (ended_at is not null)),
    constraint batch_items_answer_check check (state <> 'done' or answer is not null)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.batch_items is
'One question of a run, and its answer. Done: the provider has answered, if only by an error.
Expired: it was not made, and the model is asked directly.';
comment on column engine.batch_items.digest is
'SHA-256 of its place in the run: who claims the run again finds the question by it.';
comment on column engine.batch_items.body is
'The request as the provider takes it; empty once it is known to have it, or nobody asks it any more.';
create index batch_items_queued_idx on engine.batch_items (provider, grouping, created_at)
where state = 'queued';
create index batch_items_batch_id_idx on engine.batch_items (batch_id);

alter table engine.batches enable row level security;
alter table engine.batch_items enable row level security;
revoke all on engine.batches, engine.batch_items from public, anon, authenticated, service_role;
