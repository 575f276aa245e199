"""A service of its own, for tests that send signals: `python -m tests.api.program`."""

import asyncio
import sys
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from backend.api import server
from backend.errors import AssistantsError
from backend.telemetry import logs
from tests.api.scene import service


def say(word: str) -> None:
    """The test can read this word."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(host: str, port: int, grace_s: float) -> None:
    """Serve until a signal comes, and say what happens."""
    logs.configure("INFO")
    ending, routes = asyncio.Event(), APIRouter()

    @routes.get("/slow")
    async def slow(until_stopped: bool) -> dict[str, str]:
        say("slow")
        await (ending.wait() if until_stopped else asyncio.Event().wait())
        return {"status": "answered"}

    @routes.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            yield "data: first\n\n"
            await ending.wait()
            yield "data: last\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    def stop() -> None:
        say("stop")
        ending.set()

    asyncio.run(server.serve(service(routes), host, port, on_stop=stop, grace_s=grace_s))


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    except AssistantsError as error:
        sys.exit(str(error))
