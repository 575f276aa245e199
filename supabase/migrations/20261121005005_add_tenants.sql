-- Purpose:   sessions, messages and runs belong to a tenant: to an organisation, else to their user.
-- Guarantee: sessions from before stay their user's alone: those who began them under an organisation
--            did not share them. Each policy compares one column, which leads the indexes it needs.
-- Caller:    policies; the planner.

-- The tables are rewritten and the index of the words is built anew: about two minutes for a million
-- messages, in which nobody reads or writes them. docs/upgrade.md says so.
-- squawk-ignore-file adding-field-with-default, constraint-missing-not-valid
-- squawk-ignore-file ban-drop-constraint, ban-drop-default
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion

set lock_timeout = '5s';
set statement_timeout = '30min';
set maintenance_work_mem = '256MB';

lock table public.chat_sessions, public.messages, engine.runs in access exclusive mode;
-- First: what is about to be written costs less without them.
drop index public.chat_sessions_assistant_id_idx, public.chat_sessions_user_id_idx,
public.messages_session_id_user_id_position_idx, public.messages_user_id_position_idx,
public.messages_search_idx, engine.runs_assistant_id_idx, engine.runs_session_id_user_id_idx,
engine.runs_user_id_idx, engine.runs_open_user_id_idx;

-- Until the policies of the next files are there, too, a new session is its user's as well.
alter table public.chat_sessions alter org_id drop default;
update public.chat_sessions set org_id = null where org_id is not null;
alter table public.messages add column author_id text;
comment on column public.messages.author_id is 'Who wrote a message of the user; null on replies.';
update public.messages
set org_id = null, author_id = case role when 'user' then user_id end
where org_id is not null or role = 'user';
alter table engine.runs add column requester_id text;
comment on column engine.runs.requester_id is
'Who asked for the answer, and whose limits it counts for.';
update engine.runs set org_id = null, requester_id = user_id;
-- Shared with nobody so far, and with the new policies nobody could change them.
update public.assistants set visibility = 'private'
where visibility = 'organisation' and user_id is not null and coalesce(org_id, '') not like 'org\_%';

alter table public.chat_sessions
add column tenant_id text generated always as (coalesce(org_id, user_id)) stored,
add constraint chat_sessions_org_id_check check (org_id like 'org\_%'),
drop constraint chat_sessions_user_id_check,
add constraint chat_sessions_user_id_check check (user_id <> '' and user_id not like 'org\_%');
comment on column public.chat_sessions.tenant_id is
'Whose it is: the organisation''s, else the user''s. What every policy compares.';
alter table public.messages
add column tenant_id text generated always as (coalesce(org_id, user_id)) stored;
comment on column public.messages.tenant_id is 'Whose the session is.';
alter table engine.runs
add column tenant_id text generated always as (coalesce(org_id, user_id)) stored;

-- With the tenant: or a foreign assistant's id would cost as many reads as it has sessions.
create index chat_sessions_assistant_id_tenant_id_idx
on public.chat_sessions (assistant_id, tenant_id);
create index runs_assistant_id_tenant_id_idx on engine.runs (assistant_id, tenant_id);
-- Whoever names the user as well, as Supabase's guides advise, names one thing twice.
create statistics public.chat_sessions_tenant_id_user_id_stats (dependencies)
on tenant_id, user_id from public.chat_sessions;
create index chat_sessions_tenant_id_idx
on public.chat_sessions (tenant_id, last_message_at desc, id desc);
create unique index messages_session_id_tenant_id_position_idx
on public.messages (session_id, tenant_id, position desc);
create index messages_tenant_id_position_idx on public.messages (tenant_id, position desc);
create index messages_search_idx on public.messages
using gin (engine.search_vector(tenant_id, content));
create index runs_session_id_tenant_id_idx on engine.runs (session_id, tenant_id, queued_no desc);
create index runs_tenant_id_idx on engine.runs (tenant_id);
create index runs_open_requester_id_idx on engine.runs (requester_id)
where ended_at is null and cancel_requested_at is null;
