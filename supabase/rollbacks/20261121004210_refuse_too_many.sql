-- Purpose:   undoes the refusal of what is over a limit.
-- Guarantee: nothing else changes.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.check_places(
    engine.settings, engine.admissions, engine.admissions, integer, integer, integer, integer
);
drop function engine.refuse_places(
    engine.settings, engine.admissions, engine.admissions, integer, integer, integer, integer
);
drop function engine.refuse_too_many(text, text, double precision);
