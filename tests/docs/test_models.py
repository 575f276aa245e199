"""What the pages about models and options print is what the database takes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
import pytest_asyncio

from tests.docs.pages import ROOT, blocks
from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database

MODELS = ROOT / "docs" / "models.md"


@pytest_asyncio.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    """Yield a database with the default assistant."""
    async with AsyncExitStack() as stack:
        yield await open_chat(database, stack)


async def test_the_statement_for_users_models_lets_them_name_these(chat: Chat) -> None:
    (statement,) = blocks(MODELS, "sql")
    named = ["offline:demo", "openai:gpt-6-luna", "anthropic:claude-haiku-5-5"]
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.insert("assistants", name="Mine", model=named[1])

    await chat.admin.execute(statement)

    for model in named:
        await chat.ada.insert("assistants", name="Mine", model=model)
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.insert("assistants", name="Mine", model="openai:gpt-5.4")
