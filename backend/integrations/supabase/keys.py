"""Whether a project's URL and keys look like what they should be; nobody is asked."""

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from backend.domain.checks import Check, fails, warns
from backend.integrations.supabase.dashboard import page
from backend.integrations.supabase.near_hosts import is_near

PUBLISHABLE = "SUPABASE_PUBLISHABLE_KEY"
SECRET = "SUPABASE_SECRET_KEY"  # noqa: S105 - the name of the variable
URL = "SUPABASE_URL"

_PREFIXES = {PUBLISHABLE: "sb_publishable_", SECRET: "sb_secret_"}
_LEGACY_ROLES = {PUBLISHABLE: "anon", SECRET: "service_role"}
_SENDABLE = re.compile(r"[!-~]{8,4000}")


def check_url(url: str) -> Check | None:
    """Return what is wrong with the project's URL, or None."""
    advice = "Set it to the project's URL, https://<project>.supabase.co."
    try:
        parts = urlsplit(url)
        host, has_port = parts.hostname or "", parts.port != 0
    except ValueError:
        return fails(URL, "no URL", advice)
    if parts.username or parts.password:
        return fails(URL, "holds a login", advice)
    if parts.scheme not in {"http", "https"} or not host or not has_port:
        return fails(URL, "no URL", advice)
    if host in {"supabase.com", "www.supabase.com"}:
        return fails(URL, "is the dashboard's address, not the project's", advice)
    if parts.path.rstrip("/") or parts.query or parts.fragment:
        return fails(URL, "goes on after the host", advice + " Without /rest/v1 or anything else.")
    return _check_way(parts, host)


def _check_way(parts: SplitResult, host: str) -> Check | None:
    if parts.scheme == "https" or is_near(host):
        return None
    return fails(URL, "without TLS everybody on the way reads the keys", "Begin it with https://.")


def check_key(name: str, key: str, url: str | None = None) -> Check | None:
    """Return what is wrong with the shape of a key, or None; never the key itself.

    Args:
        name: PUBLISHABLE or SECRET.
        key: Its value.
        url: The project's, for the page where its keys are.
    """
    prefix = _PREFIXES[name]
    copy = f"Copy the key that begins with {prefix} from {page(url, 'api keys')}."
    if not _SENDABLE.fullmatch(key):
        return fails(name, "has another shape", copy)
    if key.startswith(prefix):
        return None
    if name == SECRET and key.startswith(_PREFIXES[PUBLISHABLE]):
        return fails(name, "is the publishable key", copy)
    if name == PUBLISHABLE and key.startswith(_PREFIXES[SECRET]):
        rotate = " If a browser has ever had it, make a new secret key there and delete this one."
        return fails(name, "is the secret key", copy + rotate)
    return _check_legacy(name, key, copy)


def _check_legacy(name: str, key: str, copy: str) -> Check:
    claims = unverified(key)
    if claims is None:
        return fails(name, "has another shape", copy)
    if claims.get("role") != _LEGACY_ROLES[name]:
        return fails(name, f"a legacy JWT key, and not the {_LEGACY_ROLES[name]} one", copy)
    return warns(name, "a legacy JWT key", copy + " Legacy keys are being retired.")


def unverified(token: str) -> dict[str, Any] | None:
    """Return what a JWT says of itself, which proves nothing; None for what is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None
