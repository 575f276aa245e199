"""Where in the dashboard a thing is set: a link for a hosted project, else its name."""

import re
from urllib.parse import urlsplit

_HOSTED = re.compile(r"https://([a-z0-9-]+)\.supabase\.co")
_DIRECT = re.compile(r"db\.([a-z0-9-]+)\.supabase\.co")
_POOLER = re.compile(r".+\.pooler\.supabase\.com")
_PAGES = {
    "project": "",
    "connect": "?showConnect=true",
    "api keys": "/settings/api-keys",
    "exposed schemas": "/settings/api",
    "third-party auth": "/auth/third-party",
    "sign-ups": "/auth/providers",
    "extensions": "/database/extensions",
    "sql editor": "/sql/new",
}
_NAMES = {
    "project": "the project's dashboard",
    "connect": "the dashboard: Connect",
    "api keys": "the dashboard: Project Settings → API Keys",
    "exposed schemas": "the dashboard: Project Settings → Data API (PGRST_DB_SCHEMAS)",
    "third-party auth": "the dashboard: Authentication → Third-Party Auth",
    "sign-ups": "the dashboard: Authentication → Sign In / Providers (DISABLE_SIGNUP)",
    "extensions": "the dashboard: Database → Extensions",
    "sql editor": "the SQL editor",
}


def page(supabase_url: str | None, subject: str) -> str:
    """Return the address of the page about this subject, or what the page is called.

    Args:
        supabase_url: Of the project.
        subject: One of those known here.
    """
    if project := project_of(supabase_url):
        return f"https://supabase.com/dashboard/project/{project}{_PAGES[subject]}"
    return _NAMES[subject]


def project_of(supabase_url: str | None) -> str | None:
    """Return the reference of a hosted project; none for any other."""
    hosted = _HOSTED.fullmatch((supabase_url or "").rstrip("/"))
    return hosted[1] if hosted else None


def project_url(database_url: str) -> str | None:
    """Return the URL of the hosted project that a login belongs to; none for any other."""
    try:
        parts = urlsplit(database_url)
    except ValueError:
        return None
    host, user = parts.hostname or "", parts.username or ""
    if direct := _DIRECT.fullmatch(host):
        return f"https://{direct[1]}.supabase.co"
    reference = user.partition(".")[2]
    return f"https://{reference}.supabase.co" if _POOLER.fullmatch(host) and reference else None
