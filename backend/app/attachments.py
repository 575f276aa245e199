"""Where users' files lie, and who takes them apart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from backend.integrations.images.jail import JailedReader
from backend.integrations.supabase.storage import SupabaseStorage
from backend.ports.files import NoFiles
from backend.ports.web import Fetcher
from backend.runs.attachments import Attachments
from backend.settings import Settings


@asynccontextmanager
async def open_attachments(
    settings: Settings, fetcher: Fetcher | None
) -> AsyncIterator[Attachments]:
    """Yield what loads attachments; without the project's URL and secret key, no stored ones.

    Args:
        settings: With the project's URL and secret key.
        fetcher: For images at a URL; without one, none is fetched.
    """
    secret = settings.supabase_secret_key
    if not settings.supabase_url or secret is None:
        yield Attachments(NoFiles(), JailedReader(), fetcher)
        return
    key = secret.get_secret_value()
    async with SupabaseStorage(settings.supabase_url, secret_key=key) as storage:
        yield Attachments(storage, JailedReader(), fetcher)
