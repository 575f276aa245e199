"""One command for both sides of the webhook: the database's, and what the service must be told."""

import asyncio

from backend.errors import WebhookRefused
from backend.integrations.supabase import webhook_setup
from backend.integrations.supabase.webhook_setup import WebhookSetup
from backend.integrations.supabase.webhook_url import webhook_url
from backend.settings import OwnerSettings

__all__ = ["WebhookSetup", "set_up", "switch_off"]


def set_up(settings: OwnerSettings, url: str | None, *, rotate: bool) -> WebhookSetup:
    """Return what the database does now.

    Args:
        settings: The owner's login.
        url: The service's origin, or its webhook's address; None to leave it as it is.
        rotate: Make a new secret.

    Raises:
        WebhookRefused: The address, pg_net, Vault or a migration; the message says what to do.
        DatabaseUnavailable: The database cannot be reached.
    """
    if url is None and not rotate:
        raise WebhookRefused("Say where the service is: `assistants webhook https://…`.")
    admin_url = settings.admin_database_url.get_secret_value()
    goes_to = None if url is None else webhook_url(url)
    return asyncio.run(webhook_setup.set_up(admin_url, goes_to, rotate=rotate))


def switch_off(settings: OwnerSettings) -> bool:
    """Return whether the database sent webhooks; it does so no more.

    Raises:
        WebhookRefused: Vault may not be written.
        DatabaseUnavailable: The database cannot be reached.
    """
    return asyncio.run(webhook_setup.switch_off(settings.admin_database_url.get_secret_value()))
