-- Purpose:   undoes that rows belong to a tenant. What organisations wrote is its starters' again.
-- Guarantee: the indexes are those of before. The tables are not rewritten.
-- Caller:    `assistants migrate --back-to`.

-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion, ban-drop-column

set lock_timeout = '5s';
set statement_timeout = '30min';

drop index public.messages_search_idx;
create index messages_search_idx on public.messages
using gin (engine.search_vector(user_id, content));
drop index engine.runs_open_requester_id_idx;
create index runs_open_user_id_idx on engine.runs (user_id)
where ended_at is null and cancel_requested_at is null;

alter table public.chat_sessions alter org_id
set default nullif(coalesce(auth.jwt() ->> 'org_id', auth.jwt() -> 'o' ->> 'id'), '');

-- With their indexes.
alter table public.chat_sessions
drop column tenant_id,
drop constraint chat_sessions_org_id_check,
drop constraint chat_sessions_user_id_check,
add constraint chat_sessions_user_id_check check (user_id <> '');
alter table public.messages drop column tenant_id, drop column author_id;
alter table engine.runs drop column tenant_id, drop column requester_id;

create index chat_sessions_assistant_id_idx on public.chat_sessions (assistant_id);
create index runs_assistant_id_idx on engine.runs (assistant_id);
create index chat_sessions_user_id_idx
on public.chat_sessions (user_id, last_message_at desc, id desc);
create unique index messages_session_id_user_id_position_idx
on public.messages (session_id, user_id, position desc);
create index messages_user_id_position_idx on public.messages (user_id, position desc);
create index runs_session_id_user_id_idx on engine.runs (session_id, user_id, queued_no desc);
create index runs_user_id_idx on engine.runs (user_id);
