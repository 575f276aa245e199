"""What a database says of itself when the doctor asks, by whichever transport."""

import re
from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from backend.domain.checks import Check, fails, holds
from backend.errors import AssistantsError, DependencyFailed, NotPermitted, SchemaMissing
from backend.integrations.supabase.project_checks import missing
from backend.ports.gateway import Gateway

_NAME = "functions"
_MIGRATE = "Run `assistants migrate`."


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Policy(_Said):
    """A policy that there is."""

    table: str
    """With its schema."""
    name: str


class WebhookParts(_Said):
    """Which parts of the webhook the owner of the tables can reach."""

    pg_net: bool
    vault: bool
    url: bool
    secret: bool


class AttachmentParts(_Said):
    """What there is of the bucket for attachments; without it neither holds."""

    is_private: bool = False
    has_limits: bool = False


class Diagnosis(_Said):
    """What `engine.diagnose` returns."""

    schema_version: str | None
    """The newest; none without a history."""
    schema_versions: list[str] = []
    """All that were applied, others' too."""
    token_issuer: str | None = None
    """Whose tokens count; none: anybody's that the project accepts."""
    pinned_issuer: str | None = None
    """The same, as policies read it."""
    workers: int
    server_version: str
    now: AwareDatetime
    unguarded: list[str]
    policies: list[Policy]
    webhook: WebhookParts
    attachments: AttachmentParts | None = None
    """None where there is no Storage."""
    realtime: bool
    default_model: str | None
    user_models: list[str]
    """`*` at the end stands for anything."""
    cheaper_models: list[str] = []
    """That answer above a soft limit of a budget."""
    skew_s: float = 0.0
    """How far its clock is from ours at least, however long the answer took."""


async def diagnose(gateway: Gateway, url: str | None) -> tuple[Check, Diagnosis | None]:
    """Return whether the functions of this release can be called, and what the database says.

    Args:
        gateway: The service's.
        url: The project's, for the pages of its dashboard.
    """
    asked = datetime.now(UTC)
    try:
        said = await gateway.call("engine.diagnose", {})
        answered = datetime.now(UTC)
        found = Diagnosis.model_validate(said)
    except SchemaMissing as error:
        code = re.search(r"PGRST\d{3}", str(error))
        return missing(_NAME, url, code[0] if code else "42883"), None
    except NotPermitted:
        advice = "Log in as the role of `assistants migrate --service-role`."
        return fails(_NAME, "this login may not call them", advice), None
    except DependencyFailed as error:
        return fails(_NAME, str(error), "Try again; then look at the database's logs."), None
    except AssistantsError as error:
        return fails(_NAME, str(error), _MIGRATE), None
    except ValidationError:
        return fails(_NAME, "the answer is none of engine.diagnose", _MIGRATE), None
    skew_s = max((asked - found.now).total_seconds(), (found.now - answered).total_seconds(), 0.0)
    found = found.model_copy(update={"skew_s": skew_s})
    return holds(_NAME, f"PostgreSQL {found.server_version} answers"), found
