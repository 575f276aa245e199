"""The doctor, asked as its command asks, and projects whose answers a test chooses."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from backend.app.doctor import doctor
from backend.domain.checks import Check
from backend.settings import Settings
from tests.support.data_api import Project

# Of the shape that they should have, and of no project.
PUBLISHABLE_KEY = "sb_publishable_0123456789abcdef"
SECRET_KEY = "sb_secret_0123456789abcdef"
# A policy as SQL names it, and as the doctor does.
READ = '"members read the messages of their tenant"'
SEES = "policy public.messages: members read the messages of their tenant"


class Findings(dict[str, Check]):
    """What the doctor found, by name and in order."""

    def __init__(self, checks: Iterable[Check]) -> None:
        super().__init__({check.name: check for check in checks})

    def of_level(self, *levels: str) -> list[str]:
        """Return the names of these findings, in order."""
        return [name for name, check in self.items() if check.level in levels]

    def text(self) -> str:
        """Return all that is said."""
        return "\n".join(f"{check.name}: {check.found} {check.advice}" for check in self.values())


async def examine(*, token: str | None = None, **settings: Any) -> Findings:
    """Return what the doctor finds with these settings."""
    # A thread of its own: this one belongs to a test's event loop.
    return Findings(await asyncio.to_thread(doctor, Settings(**settings), token=token))


def of(project: Project, **changes: Any) -> dict[str, Any]:
    """Return the settings of somebody who has the project's URL and keys, and no login."""
    ours = {
        "supabase_url": project.url,
        "supabase_publishable_key": project.keys.publishable_key,
        "supabase_secret_key": project.keys.secret_key,
        "clerk_issuer": project.sign_in.url,
    }
    return {**ours, **changes}


def answer(body: Any, status: int = 200, *, headers: str = "") -> bytes:
    """Return a whole response; a body that is no bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    head = f"HTTP/1.1 {status} So\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}{headers}Connection: close\r\n\r\n".encode() + content


NO_ROUTE = answer({"message": "no Route matched with those values"}, 404)
NO_KEY = answer({"message": "No API key found in request"}, 401)
WRONG_KEY = answer({"message": "Invalid API key"}, 401)


def refusal(code: str, status: int) -> bytes:
    """Return PostgREST's answer with this code."""
    return answer({"code": code, "message": "", "details": None, "hint": None}, status)


class Answers:
    """What a project answers, by the beginning of the path; the last that fits."""

    def __init__(self, by_path: Mapping[str, bytes]) -> None:
        self._by_path = by_path

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            fitting = [said for start, said in self._by_path.items() if path.startswith(start)]
            writer.write(fitting[-1] if fitting else NO_ROUTE)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def answering(by_path: Mapping[str, bytes]) -> AsyncIterator[str]:
    """Yield the URL of a project that answers so."""
    server = await asyncio.start_server(Answers(by_path).serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
