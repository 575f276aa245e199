"""What the owner of a database asks for: migrations."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from backend.integrations.supabase import migrations
from backend.integrations.supabase.service_role import create_service_role
from backend.settings import OwnerSettings


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` has done."""

    applied: list[str]
    """Versions, oldest first; empty where the schema was up to date."""
    service_url: str | None
    """The service's new login, a secret; None where none was asked for."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What `migrate` would do."""

    steps: list[str]
    """`version  name` of each file that it would apply, oldest first."""
    refusal: str | None
    """Why it would do nothing at all."""


def migrate(
    settings: OwnerSettings, *, service_role: bool, seed: bool, tell: Callable[[str], None]
) -> Migrated:
    """Bring the database up to date.

    Args:
        settings: The owner's login.
        service_role: Whether to make the service's as well.
        seed: Whether to add the first assistant, where there is none.
        tell: Is told of each file as soon as it is applied.

    Raises:
        MigrationRefused: The history and the files disagree, or a statement failed.
        ServiceRoleRefused: The host does not let this login make roles.
    """
    admin_url = settings.admin_database_url.get_secret_value()
    return asyncio.run(_migrate(admin_url, service_role=service_role, seed=seed, tell=tell))


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
    admin_url: str, *, service_role: bool, seed: bool, tell: Callable[[str], None]
) -> Migrated:
    applied = await migrations.apply(
        admin_url, tell=lambda step: tell(f"Applied {step.version} {step.name}")
    )
    if seed:
        await migrations.seed(admin_url)
        tell("Seeded: there is a first assistant")
    return Migrated(applied, await create_service_role(admin_url) if service_role else None)
