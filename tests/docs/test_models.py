"""What the pages about models and options print is what the database takes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
import pytest_asyncio

from tests.docs.pages import DATA_MODEL, ROOT, blocks
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


async def test_the_page_names_every_option_and_no_other(chat: Chat) -> None:
    page = DATA_MODEL.read_text(encoding="utf-8")
    table = page.partition("`options` says how")[2].partition("All of them together")[0]
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    named = {key for row in rows for key in row.split("|")[1].replace("`", "").split(", ")}

    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await chat.ada.insert("assistants", name="Mine", options={"unknown": 1})

    known = (refused.value.hint or "").removeprefix("Known: ").split(", ")
    assert {it.strip() for it in named} == set(known)


async def test_the_budgets_that_the_page_prints_are_taken(chat: Chat) -> None:
    prices, budgets = blocks(ROOT / "docs" / "usage.md", "sql")

    await chat.admin.execute(prices)
    await chat.admin.execute(budgets)

    assert await chat.admin.fetchval("select count(*) from engine.budgets") == 4
