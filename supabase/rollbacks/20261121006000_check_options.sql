-- Purpose:   undoes what an assistant's options may look like.
-- Guarantee: nothing of it is left.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.is_options(jsonb);
drop function engine.is_answer_form(jsonb), engine.is_truncation(jsonb), engine.is_tool_choice(jsonb);
drop function engine.is_schema(jsonb);
