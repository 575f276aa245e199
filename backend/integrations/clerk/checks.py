"""What the doctor asks the issuer of the users' tokens."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from backend.domain.checks import Check, fails, holds

_TIMEOUT_S = 5.0
# Clerk's own SDK and ours accept tokens this much too early or too late.
_MOST_SKEW_S = 5.0


async def check_issuer(issuer: str) -> list[Check]:
    """Return whether tokens can be verified: keys are there, and the clocks agree."""
    url = f"{issuer.rstrip('/')}/.well-known/jwks.json"
    advice = "Set CLERK_ISSUER to the Frontend API URL of your Clerk instance."
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            response = await client.get(url)
            response.raise_for_status()
        keys = response.json()["keys"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return [fails("issuer", f"{url}: {type(error).__name__}", advice)]
    signing = [key for key in keys if key.get("kty") == "RSA" and key.get("kid")]
    if not signing:
        return [fails("issuer", f"{url} has no RSA key with a kid", advice)]
    return [holds("issuer", f"{len(signing)} keys"), _clock(response.headers.get("date"))]


def _clock(date: str | None) -> Check:
    if date is None:
        return holds("issuer clock", "the issuer tells no time")
    skew_s = abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    said = f"{skew_s:.0f} s from the issuer's"
    if skew_s <= _MOST_SKEW_S:
        return holds("issuer clock", said)
    return fails("issuer clock", said, "Synchronise this machine's clock (NTP).")
