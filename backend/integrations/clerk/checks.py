"""What the doctor asks the issuer of the users' tokens."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from backend.domain.checks import Check, fails, holds
from backend.errors import SettingsInvalid
from backend.integrations.clerk.published_keys import (
    KeysNotFetched,
    fetch_keys,
    jwks_url,
    open_client,
)

_TIMEOUT_S = 5.0
# Clerk's own SDK and ours accept tokens this much too early or too late.
_MOST_SKEW_S = 5.0


async def check_issuer(issuer: str) -> list[Check]:
    """Return whether tokens can be verified: usable keys are there, and the clocks agree."""
    advice = "Set CLERK_ISSUER to the Frontend API URL of your Clerk instance."
    try:
        url = jwks_url(issuer)
        async with open_client() as client:
            published = await fetch_keys(client, url, timeout_s=_TIMEOUT_S)
    except SettingsInvalid as error:
        return [fails("issuer", str(error), advice)]
    except KeysNotFetched as failure:
        return [fails("issuer", f"{url}: {failure.code}", advice)]
    return [holds("issuer", f"{len(published.by_kid)} keys"), _clock(published.date)]


def _clock(date: str | None) -> Check:
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return holds("issuer clock", "the issuer tells no time")
    skew_s = abs((told.replace(tzinfo=told.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    said = f"{skew_s:.0f} s from the issuer's"
    if skew_s <= _MOST_SKEW_S:
        return holds("issuer clock", said)
    return fails("issuer clock", said, "Synchronise this machine's clock (NTP).")
