-- Purpose:   undoes that a view tells who asks.
-- Guarantee: the pinned issuer stays in the settings.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop view engine.caller;
drop trigger pin_issuer on engine.settings;
drop function engine.pin_issuer();
drop view engine.pinned_issuer;
