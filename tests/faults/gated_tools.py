"""Tools that a worker of a test offers: each call knocks at the test's gate and waits there."""

import asyncio
import os

from backend.ports.tools import ToolContext
from backend.tools.registry import tool


async def _knock(name: str, context: ToolContext) -> str:
    reader, writer = await asyncio.open_unix_connection(os.environ["GATE"])
    try:
        writer.write(f"{name} {context.idempotency_key}\n".encode())
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


@tool()
async def first(context: ToolContext) -> str:
    """Knocks."""
    return await _knock("first", context)


@tool()
async def second(context: ToolContext) -> str:
    """Knocks."""
    return await _knock("second", context)


@tool()
async def third(context: ToolContext) -> str:
    """Knocks."""
    return await _knock("third", context)


@tool(is_repeatable=False)
async def only_once(context: ToolContext) -> str:
    """Knocks, and never again."""
    return await _knock("only_once", context)
