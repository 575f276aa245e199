"""What the owner of a database asks for: migrations."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from backend.errors import SettingsInvalid
from backend.integrations.supabase import migrations
from backend.integrations.supabase.service_role import (
    ROLE,
    create_service_role,
    has_service_role,
)
from backend.integrations.supabase.token_issuer import pin_issuer
from backend.settings import OwnerSettings


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `migrate` shall do besides."""

    service_role: bool = False
    """Make the service's login, where there is none."""
    new_password: bool = False
    """Where there is one, change its password."""
    seed: bool = False
    """Add the first assistant, where there is none."""
    pin_issuer: bool = False
    """Let only tokens of CLERK_ISSUER count."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` has done."""

    applied: list[str]
    """Versions, oldest first; empty where the schema was up to date."""
    service_url: str | None
    """The service's new login, a secret; None where none was asked for, or one was there."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What `migrate` would do."""

    steps: list[str]
    """`version  name` of each file that it would apply, oldest first."""
    refusal: str | None
    """Why it would do nothing at all."""


def migrate(settings: OwnerSettings, wishes: Wishes, *, tell: Callable[[str], None]) -> Migrated:
    """Bring the database up to date, and do what else is wished for.

    Args:
        settings: The owner's login.
        wishes: What to do after it.
        tell: Is told of each file as soon as it is applied.

    Raises:
        SettingsInvalid: There is no issuer to pin.
        MigrationRefused: The history and the files disagree, or a statement failed.
        ServiceRoleRefused: The host does not let this login make roles.
    """
    admin_url = settings.admin_database_url.get_secret_value()
    if wishes.pin_issuer and not settings.clerk_issuer:
        raise SettingsInvalid("CLERK_ISSUER is not set: whose tokens shall count?")
    return asyncio.run(_migrate(admin_url, wishes, settings.clerk_issuer, tell))


def plan(settings: OwnerSettings) -> Planned:
    """Return what `migrate` would do, and change nothing.

    Raises:
        MigrationRefused: This login may not read the history.
    """
    found = asyncio.run(migrations.plan(settings.admin_database_url.get_secret_value()))
    return Planned([f"{step.version}  {step.name}" for step in found.steps], found.refusal)


def roll_back(settings: OwnerSettings, version: str, *, tell: Callable[[str], None]) -> list[str]:
    """Return the versions that were rolled back, newest first; `version` is now the newest.

    Raises:
        MigrationRefused: A file on the way has no rollback, `version` is not there, the history
            and the files disagree, or a statement failed.
    """
    admin_url = settings.admin_database_url.get_secret_value()
    going = migrations.back_to(
        admin_url, version, tell=lambda step: tell(f"Rolled back {step.version} {step.name}")
    )
    return asyncio.run(going)


async def _migrate(
    admin_url: str, wishes: Wishes, issuer: str | None, tell: Callable[[str], None]
) -> Migrated:
    applied = await migrations.apply(
        admin_url, tell=lambda step: tell(f"Applied {step.version} {step.name}")
    )
    if wishes.pin_issuer and issuer:
        await pin_issuer(admin_url, issuer)
        tell(f"Pinned: only tokens of {issuer} count")
    if wishes.seed:
        await migrations.seed(admin_url)
        tell("Seeded: there is a default assistant")
    return Migrated(applied, await _service_url(admin_url, wishes, tell))


async def _service_url(admin_url: str, wishes: Wishes, tell: Callable[[str], None]) -> str | None:
    if not wishes.service_role:
        return None
    if not wishes.new_password and await has_service_role(admin_url):
        tell(f"The login {ROLE} is there and keeps its password; --new-password changes it")
        return None
    return await create_service_role(admin_url)
