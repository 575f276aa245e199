-- Purpose:   undoes the functions by which a service acts for a user.
-- Guarantee: users with a token of their own notice nothing.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function
public.act_as_read_stream(jsonb, uuid, text), public.act_as_cancel_run(jsonb, uuid),
public.act_as_regenerate(jsonb, uuid), public.act_as_submit_tool_outputs(jsonb, uuid, jsonb),
public.act_as_search_messages(jsonb, text, uuid, integer, bigint);
