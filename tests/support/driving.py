"""Coroutines for tests that cannot be coroutines: hypothesis calls plain functions."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from hypothesis import settings

from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def driven(database: Database) -> Iterator[tuple[Chat, Run]]:
    """Yield a project, and a function that waits for what its people do."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield runner.run(open_chat(database, stack)), runner.run
        finally:
            runner.run(stack.aclose())


def examples(number: int, **options: Any) -> settings:
    """Return settings for so many examples, each of which may take its time."""
    return settings(max_examples=number, deadline=None, database=None, **options)
