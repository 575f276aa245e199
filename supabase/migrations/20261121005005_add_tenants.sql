-- Purpose:   sessions, messages and runs belong to a tenant: to an organisation, else to their user.
-- Guarantee: sessions from before stay their user's alone: those who began them under an organisation
--            did not share them. Each policy compares one column, which leads the indexes it needs.
-- Caller:    policies; the planner.

-- The tables are rewritten and the index of the words is built anew: about 20 seconds for a million
-- messages, in which nobody reads or writes them. docs/upgrade.md says so.
-- squawk-ignore-file adding-field-with-default, constraint-missing-not-valid
-- squawk-ignore-file ban-drop-constraint
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion

set lock_timeout = '5s';
set statement_timeout = '30min';

update public.chat_sessions set org_id = null where org_id is not null;
update public.messages set org_id = null where org_id is not null;
update engine.runs set org_id = null where org_id is not null;

alter table public.chat_sessions
add column tenant_id text generated always as (coalesce(org_id, user_id)) stored,
add constraint chat_sessions_org_id_check check (org_id like 'org\_%'),
drop constraint chat_sessions_user_id_check,
add constraint chat_sessions_user_id_check check (user_id <> '' and user_id not like 'org\_%');
comment on column public.chat_sessions.tenant_id is
'Whose it is: the organisation''s, else the user''s. What every policy compares.';
alter table public.messages
add column tenant_id text generated always as (coalesce(org_id, user_id)) stored,
add column author_id text;
comment on column public.messages.tenant_id is 'Whose the session is.';
comment on column public.messages.author_id is
'Who wrote a message of the user. Null on replies, and on messages from before organisations: there
it is user_id.';
alter table engine.runs
add column tenant_id text generated always as (coalesce(org_id, user_id)) stored,
add column requester_id text;
comment on column engine.runs.requester_id is
'Who asked for the answer, and whose limits it counts for. Null on runs that ended before
organisations: there it is user_id.';
update engine.runs set requester_id = user_id where ended_at is null;

drop index public.chat_sessions_user_id_idx;
create index chat_sessions_tenant_id_idx
on public.chat_sessions (tenant_id, last_message_at desc, id desc);
-- Whoever names the user as well, as Supabase's guides advise, names one thing twice.
create statistics public.chat_sessions_tenant_id_user_id_stats (dependencies)
on tenant_id, user_id from public.chat_sessions;
drop index public.messages_session_id_user_id_position_idx;
create unique index messages_session_id_tenant_id_position_idx
on public.messages (session_id, tenant_id, position desc);
drop index public.messages_user_id_position_idx;
create index messages_tenant_id_position_idx on public.messages (tenant_id, position desc);
drop index public.messages_search_idx;
create index messages_search_idx on public.messages
using gin (engine.search_vector(tenant_id, content));
drop index engine.runs_session_id_user_id_idx;
create index runs_session_id_tenant_id_idx on engine.runs (session_id, tenant_id, queued_no desc);
drop index engine.runs_user_id_idx;
create index runs_tenant_id_idx on engine.runs (tenant_id);
drop index engine.runs_open_user_id_idx;
create index runs_open_requester_id_idx on engine.runs (requester_id)
where ended_at is null and cancel_requested_at is null;
