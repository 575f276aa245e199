-- Purpose:   undoes that workers share the limits of their keys.
-- Guarantee: what was used is forgotten; each worker asks as often as it likes.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function public.service_lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
);
drop function engine.lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
);
drop function engine.count_rate(
    text, text, double precision[], double precision[], double precision
);
-- squawk-ignore ban-drop-table
drop table engine.rate_limits;
-- The release before knows nothing of the column.
-- squawk-ignore ban-drop-column
alter table engine.settings drop column key_salt;
