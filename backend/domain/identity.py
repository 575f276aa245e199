"""Who is asking, as a verified token says."""

from dataclasses import dataclass, field

from backend.domain.ids import OrgId, UserId
from backend.domain.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user with a session token that holds."""

    user_id: UserId
    session_id: str
    """Clerk's session, `sess_…`; not a chat session."""
    org_id: OrgId | None
    """The active organisation, if one is."""
    org_role: str | None
    """The role in it without Clerk's older prefix `org:`, such as `admin`."""
    expires_at_s: int
    """Unix seconds."""
    claims: JsonObject
    """All token claims, as row-level security sees them."""
    token: str = field(default="", repr=False)
    """The token itself, to be passed on at once and kept nowhere: it holds for a minute."""
