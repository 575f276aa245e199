-- Purpose:   the indexes of messages, and what its columns mean.
-- Guarantee: a page, a path, an outcome and a search each read an index.
-- Caller:    the planner.

-- The table is new and empty: nobody waits for its indexes.
-- squawk-ignore-file require-concurrent-index-creation

set lock_timeout = '5s';
set statement_timeout = '60s';

-- With user_id, which every policy asks for: the planner would combine two indexes and sort.
create unique index messages_session_id_user_id_position_idx
on public.messages (session_id, user_id, position desc);
create index messages_session_id_parent_id_idx on public.messages (session_id, parent_id)
where parent_id is not null;
create index messages_user_id_position_idx on public.messages (user_id, position desc);
create unique index messages_run_id_idx on public.messages (run_id)
where run_id is not null and ordinal is null;
create unique index messages_run_id_ordinal_idx on public.messages (run_id, ordinal)
where ordinal is not null;
create index messages_search_idx on public.messages
using gin (engine.search_vector(user_id, content));

comment on table public.messages is
'What was said. History is the path of parent_id; position is the order of commits in a session.';
comment on column public.messages.content is
'List of parts: text, image, file, tool_call, tool_result, citation, reasoning. A plain string that
is inserted becomes one text part.';
comment on column public.messages.parent_id is
'The message before this one on its branch. Null for the first, and while the message waits.';
comment on column public.messages.run_id is
'The run that wrote the row. With ordinal: a text said on the way. Without: the run''s one outcome.';
comment on column public.messages.reason is
'Why an outcome is incomplete: failed, cancelled, expired, superseded, max_output_tokens, …';
comment on column public.messages.error is 'A code, never prose.';
comment on column public.messages.client_id is
'Chosen by the browser, unique in the session: a retried insert is refused or skipped.';
comment on column public.messages.starts_run is
'False for messages that must not be answered by themselves: imports, the API, replies.';

-- The check constraint and the indexed expression run as whoever writes the row.
revoke all on function engine.is_part(jsonb), engine.is_content(jsonb),
engine.content_text(jsonb), engine.owner_lexeme(text), engine.search_vector(text, jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.is_part(jsonb), engine.is_content(jsonb),
engine.content_text(jsonb), engine.owner_lexeme(text), engine.search_vector(text, jsonb)
to authenticated, service_role;
