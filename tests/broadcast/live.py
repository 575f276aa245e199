"""A project with a Realtime: the local stack behind the stand-in, and a worker that broadcasts."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import jwt

from backend.devkit.issuer import jwks_url
from backend.devkit.tokens import LIFETIME_S, Subject, mint
from tests.broadcast.stand_in import StandIn, serving
from tests.support.connections import connect
from tests.support.processes import WorkerProcess, open_workshop
from tests.support.stack import Stack, running_stack

T = TypeVar("T")

_PATIENCE_S = 60


@dataclass(frozen=True)
class Live:
    """What runs in the background while a test looks on."""

    stack: Stack
    stand_in: StandIn
    worker: WorkerProcess


@contextmanager
def open_live() -> Iterator[Live]:
    """Yield the project; nothing of it is left afterwards."""
    with running_stack(workers=0) as stack, _aside(_open(stack)) as live:
        yield live


@contextmanager
def realtime_of(stack: Stack) -> Iterator[StandIn]:
    """Yield a Realtime for a project that has none."""
    with _aside(_serve(stack)) as stand_in:
        yield stand_in


@contextmanager
def _aside(opening: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Yield what was opened; it lives in a thread of its own, because the tests wait."""
    ready: Future[T] = Future()
    over = threading.Event()
    work = _hold(opening, ready, over)
    thread = threading.Thread(target=lambda: asyncio.run(work))
    thread.start()
    try:
        yield ready.result(_PATIENCE_S)
    finally:
        over.set()
        thread.join(_PATIENCE_S)


async def _hold(
    opening: AbstractAsyncContextManager[T], ready: Future[T], over: threading.Event
) -> None:
    try:
        async with opening as opened:
            ready.set_result(opened)
            await asyncio.to_thread(over.wait)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)


@asynccontextmanager
async def _serve(stack: Stack) -> AsyncIterator[StandIn]:
    admin = await connect(stack.facts["admin_database_url"])
    stand_in = _stand_in(stack, admin)
    async with serving(stand_in):
        yield stand_in
    await admin.close()


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Live]:
    async with _serve(stack) as stand_in:
        with open_workshop(stack.facts["database_url"]) as workshop:
            worker = await workshop.ready(
                SUPABASE_URL=stand_in.url, SUPABASE_SECRET_KEY=stack.facts["secret_key"]
            )
            yield Live(stack, stand_in, worker)
            worker.ask_to_stop()
            assert await worker.ended() == 0, worker.log_text()


def _stand_in(stack: Stack, admin: Any) -> StandIn:
    issuer = stack.facts["issuer_url"]
    keys = jwt.PyJWKClient(jwks_url(issuer))
    signing = stack.signing_key()

    async def identify(token: str) -> Mapping[str, Any]:
        return await asyncio.to_thread(_claims, keys, token)

    def mint_for(user: str, for_s: int) -> str:
        now_s = int(time.time()) + for_s - LIFETIME_S
        return mint(signing, issuer, Subject(user), now_s=now_s)

    return StandIn(admin, identify, mint_for, stack.facts["supabase_url"])


def _claims(keys: jwt.PyJWKClient, token: str) -> Mapping[str, Any]:
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims: Mapping[str, Any] = jwt.decode(token, key, algorithms=["RS256"])
    except jwt.PyJWTError as error:
        raise ValueError(str(error)) from None
    return claims
