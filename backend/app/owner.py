"""What the owner of a database asks for: migrations, and what is missing."""

import asyncio
from dataclasses import dataclass

from backend.domain.checks import Check, fails
from backend.integrations.clerk.checks import check_issuer
from backend.integrations.supabase import migrations
from backend.integrations.supabase.checks import check_database
from backend.integrations.supabase.keys import check_keys
from backend.integrations.supabase.service_role import create_service_role
from backend.settings import OwnerSettings, Settings


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` has done."""

    applied: list[str]
    """Versions, oldest first; empty where the schema was up to date."""
    service_url: str | None
    """The service's new login, a secret; None where none was asked for."""


def migrate(settings: OwnerSettings, *, service_role: bool) -> Migrated:
    """Bring the database up to date; with `service_role` make the service's login as well.

    Raises:
        MigrationRefused: The history and the files disagree, or a statement failed.
        ServiceRoleRefused: The host does not let this login make roles.
    """
    admin_url = settings.admin_database_url.get_secret_value()
    return asyncio.run(_migrate(admin_url, service_role=service_role))


def doctor(settings: Settings) -> list[Check]:
    """Return what was found, the unhealthy with what to do about it."""
    return asyncio.run(_examine(settings))


async def _migrate(admin_url: str, *, service_role: bool) -> Migrated:
    applied = await migrations.apply(admin_url)
    return Migrated(applied, await create_service_role(admin_url) if service_role else None)


async def _examine(settings: Settings) -> list[Check]:
    found = await check_database(settings.database_url.get_secret_value())
    found += check_keys(settings.supabase_url, _keys(settings))
    if settings.clerk_issuer is None:
        advice = "Set CLERK_ISSUER to the Frontend API URL of your Clerk instance."
        return [*found, fails("issuer", "CLERK_ISSUER is not set", advice)]
    return [*found, *await check_issuer(settings.clerk_issuer)]


def _keys(settings: Settings) -> dict[str, str | None]:
    secret = settings.supabase_secret_key
    return {
        "SUPABASE_PUBLISHABLE_KEY": settings.supabase_publishable_key,
        "SUPABASE_SECRET_KEY": secret.get_secret_value() if secret else None,
    }
