"""Where the calls of gated tools arrive, and wait until the test lets them through."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.processes import until


class Gate:
    """Answers a call with `<name> is done` once its name is let through."""

    def __init__(self) -> None:
        self.knocks: list[tuple[str, str]] = []
        """Name and idempotency key of each call, in the order of their arrival."""
        self._open: dict[str, asyncio.Event] = {}

    def let_through(self, *names: str) -> None:
        """Calls of these tools are answered from now on, those that wait as well."""
        for name in names:
            self._of(name).set()

    async def until_knocked(self, *names: str) -> None:
        """So many calls of each have arrived as the names say."""

        async def holds() -> bool:
            return Counter(name for name, _ in self.knocks) >= Counter(names)

        await until(holds, 30)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One call is answered, or its caller has gone."""
        name, key = (await reader.readline()).decode().split()
        self.knocks.append((name, key))
        gone = asyncio.ensure_future(reader.read())
        opened = asyncio.ensure_future(self._of(name).wait())
        await asyncio.wait({gone, opened}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (gone, opened):
            waiting.cancel()
        if self._of(name).is_set():
            writer.write(f"{name} is done\n".encode())
        writer.close()

    def _of(self, name: str) -> asyncio.Event:
        return self._open.setdefault(name, asyncio.Event())


@asynccontextmanager
async def open_gate(path: Path) -> AsyncIterator[Gate]:
    """Yield a gate that listens at this path."""
    gate = Gate()
    async with await asyncio.start_unix_server(gate.answer, path):
        yield gate
