-- Purpose:   undoes that the database describes its wall.
-- Guarantee: everything else stays.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_describe_wall(text[]);
drop function engine.describe_wall(text[]);
