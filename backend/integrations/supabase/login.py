"""What the URL of a login says, and what to do where it leads nowhere."""

import re
import socket
from urllib.parse import SplitResult, urlsplit

from backend.domain.checks import Check, fails
from backend.integrations.supabase.dashboard import page
from backend.integrations.supabase.sqlstates import sqlstate_of

NAME = "database"
POOLER_PORT = 6543
_DIRECT = re.compile(r"db\.([a-z0-9-]+)\.supabase\.co")
_POOLER = re.compile(r".+\.pooler\.supabase\.com")
_WRONG_PASSWORD = frozenset({"28P01", "28000"})
_MAKE = "Make a login: `assistants migrate --service-role`, and set DATABASE_URL to what it prints."


def split(url: str) -> SplitResult | None:
    """Return the parts of a login's URL; none for what is no such URL."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"postgresql", "postgres"} and (parts.port or 1) > 0
    except ValueError:
        return None
    return parts if is_url else None


def check_shape(url: str, supabase_url: str | None) -> Check | None:
    """Return what can be seen to be wrong before anybody is asked, or None."""
    parts = split(url)
    if parts is None:
        return fails(NAME, "DATABASE_URL is no URL of PostgreSQL", _MAKE)
    if _POOLER.fullmatch(parts.hostname or "") and "." not in (parts.username or ""):
        return _no_project(supabase_url)
    return None


def refused(url: str, error: BaseException, supabase_url: str | None) -> Check:
    """Return what a failed login means; nothing of what the server said, nor the password.

    Args:
        url: Of the login.
        error: What the driver or the socket raised.
        supabase_url: The project's, for the pages of its dashboard.
    """
    parts = split(url)
    host = (parts.hostname if parts else None) or ""
    state = sqlstate_of(error)
    if "tenant or user not found" in str(error).lower():
        return _no_project(supabase_url)
    if state in _WRONG_PASSWORD:
        return fails(NAME, f"the login is refused ({state})", _MAKE)
    if state:
        return fails(NAME, f"connecting failed ({state})", "Look at the database's logs.")
    connect = page(supabase_url, "connect")
    if isinstance(error, socket.gaierror | OSError) and _DIRECT.fullmatch(host):
        advice = (
            "The direct address has IPv6 alone: use the session pooler's"
            f" (…pooler.supabase.com:5432, user assistants_service.<project>) from {connect}"
        )
        return fails(NAME, f"{host} cannot be reached from here", advice)
    found = f"{host}: {type(error).__name__}"
    return fails(NAME, found, f"Compare host and port of DATABASE_URL with {connect}")


def _no_project(supabase_url: str | None) -> Check:
    advice = (
        "The pooler's user names its project: assistants_service.<project>; compare with"
        f" {page(supabase_url, 'connect')}"
    )
    return fails(NAME, "the pooler does not know the user or the project", advice)
