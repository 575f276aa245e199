"""The same comparison as a browser sees it: over the local Data API, with its token."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import httpx

from bench.project import Project
from tests.support.cluster import Database
from tests.support.data_api import is_served, open_project
from tests.support.identities import user

_BLOCKS = 10
_REPEATS = 30
_WARM_UP = 8
_MINE = "&tenant_id=eq.user_heavy"
# Path, and what the policy adds. An insert could not be undone.
_PATHS = {
    "page": (
        "messages?session_id=eq.00000000-0000-4000-9000-000000000001&order=position.desc&limit=50",
        _MINE,
    ),
    "sessions": ("chat_sessions?order=last_message_at.desc,id.desc&limit=50", _MINE),
    "search": ("rpc/search_messages?p_query=needle%20word0", ""),
}

Switch = Callable[[bool], Awaitable[None]]


class Browser:
    """The heavy user's."""

    def __init__(self, client: httpx.AsyncClient, token: Callable[[], str], issuer: str) -> None:
        self.issuer = issuer
        self._client = client
        self._token = token

    async def compare(self, what: str, switch: Switch) -> dict[str, Any]:
        """Return the medians and their ratio; the sides take turns."""
        if what not in _PATHS:
            return {}
        path, mine = _PATHS[what]
        took: dict[bool, list[float]] = {True: [], False: []}
        for block in range(_BLOCKS):
            for is_guarded in (True, False) if block % 2 else (False, True):
                await switch(is_guarded)
                took[is_guarded].append(await self._block_ms(path + ("" if is_guarded else mine)))
        return {
            "http_on_ms": median(took[True]),
            "http_off_ms": median(took[False]),
            "http_ratio": median(on / off for on, off in zip(took[True], took[False], strict=True)),
        }

    async def _block_ms(self, path: str) -> float:
        headers = {"authorization": f"Bearer {self._token()}"}
        took = []
        for _ in range(_WARM_UP + _REPEATS):
            began = time.perf_counter()
            answer = await self._client.get(path, headers=headers)
            took.append((time.perf_counter() - began) * 1e3)
            answer.raise_for_status()
        return median(took[_WARM_UP:])


@asynccontextmanager
async def open_browser(project: Project) -> AsyncIterator[Browser]:
    """Yield the heavy user's browser; the Data API behind it ends afterwards."""
    project.cluster.set_passwords("authenticator")
    with open_project(Database(project.cluster, "postgres")) as opened:
        await is_served(opened)
        headers = {"apikey": opened.keys.publishable_key}
        async with httpx.AsyncClient(base_url=f"{opened.url}/rest/v1/", headers=headers) as client:
            sign_in = opened.sign_in
            yield Browser(client, sign_in.tokens(user("user_heavy")), sign_in.url)
