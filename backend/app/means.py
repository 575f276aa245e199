"""What a worker makes answers with, put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from backend.app.tools import open_fetcher, open_toolbox
from backend.domain.successors import successors
from backend.governance.caches import DatabaseCaches
from backend.governance.fresh_tools import FreshTools
from backend.governance.remembered import Remembered
from backend.integrations.images.jail import JailedReader
from backend.integrations.supabase.storage import SupabaseStorage
from backend.ports.clock import Clock
from backend.ports.files import FileStore, NoFiles
from backend.ports.gateway import Gateway
from backend.ports.models import LLMProvider
from backend.runs.attachments import Attachments
from backend.runs.execution import RunMeans
from backend.settings import Settings
from backend.tools.outputs import plain

Models: TypeAlias = LLMProvider | Callable[[Gateway], AbstractAsyncContextManager[LLMProvider]]
"""All of them, by their whole ids; or what opens them, given the way to the database."""


@asynccontextmanager
async def open_means(
    settings: Settings, models: Models, gateway: Gateway, clock: Clock
) -> AsyncIterator[RunMeans]:
    """Yield models, tools and files; all their connections are closed afterwards.

    Raises:
        SettingsInvalid: A key, a server or a tool is not as it must be.
    """
    async with AsyncExitStack() as stack:
        asked = await stack.enter_async_context(models(gateway)) if callable(models) else models
        tools = await stack.enter_async_context(open_toolbox(settings, gateway, clock))
        files = await _files(settings, stack)
        fetcher = await stack.enter_async_context(open_fetcher())
        yield RunMeans(
            asked,
            FreshTools(tools, DatabaseCaches(gateway), clock, plain),
            Attachments(files, Remembered(JailedReader()), fetcher),
            successors(settings.model_aliases),
        )


async def _files(settings: Settings, stack: AsyncExitStack) -> FileStore:
    secret = settings.supabase_secret_key
    if not (settings.supabase_url and secret):
        return NoFiles()
    storage = SupabaseStorage(settings.supabase_url, secret_key=secret.get_secret_value())
    return await stack.enter_async_context(storage)
