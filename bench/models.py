"""What our providers add to the vendors' own clients: CPU of this process, both in one run."""

import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from statistics import median
from typing import Any, TypeAlias

from anthropic import AsyncAnthropic
from mistralai.client import Mistral
from mistralai.client.models import UserMessage
from openai import AsyncOpenAI
from pydantic import SecretStr

from backend.app.models import catalogue
from backend.domain.messages import Message, Text
from backend.governance.fallbacks import Fallbacks
from backend.ports.clock import SystemClock
from backend.ports.models import LLMProvider, ModelRequest
from backend.settings import Settings
from tests.models.dialects import DIALECTS

Call: TypeAlias = Callable[[], Awaitable[None]]
_KEY = "sk-bench"
_MODEL = "gpt-5.4"
_QUESTION = "How tall is the Brocken?"
_CALLS = 20
_STREAMS, _WORDS = 2, 500


async def measure(*, rounds: int) -> dict[str, Any]:
    """Return for each provider the CPU of a call and of a streamed word, ours over the client's."""
    return {"models": {name: await _compare(name, rounds) for name in sorted(DIALECTS)}}


async def _compare(name: str, rounds: int) -> dict[str, float]:
    with _server(name, 1) as brief, _server(name, _WORDS) as long:
        ways = {"ours": _ours, "client": _CLIENTS[name]}
        calls = {way: (make(name, brief), make(name, long)) for way, make in ways.items()}
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds + 1):
            for way, (short, streamed) in calls.items():
                call_s = await _cpu_s(short, _CALLS) / _CALLS
                stream_s = await _cpu_s(streamed, _STREAMS) / _STREAMS
                found[way].append((call_s * 1e3, (stream_s - call_s) / _WORDS * 1e6))
    told: dict[str, float] = {}
    for place, what in enumerate(("call_ms", "word_us")):
        # The first round warms up.
        each = {way: median(row[place] for row in rows[1:]) for way, rows in found.items()}
        told |= {f"{what}_{way}": value for way, value in each.items()}
        told[f"{what}_ratio"] = each["ours"] / each["client"]
    return told


async def _cpu_s(call: Call, times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        await call()
    return time.process_time() - began


def _ours(name: str, url: str) -> Call:
    own: dict[str, Any] = {f"{name}_api_key": SecretStr(_KEY), f"{name}_base_url": _base(name, url)}
    if name == "compatible":
        own["compatible_base_url"] = {"compatible": _base(name, url)}
    provider = Fallbacks(catalogue(Settings(**own), SystemClock()))
    messages = [Message("user", (Text(_QUESTION),))]
    return partial(_hear, provider, ModelRequest(f"{name}:{_MODEL}", messages))


async def _hear(provider: LLMProvider, request: ModelRequest) -> None:
    async with aclosing(provider.stream(request)) as events:
        async for _ in events:
            pass


def _base(name: str, url: str) -> str:
    return f"{url}/v1" if name in ("openai", "compatible") else url


def _responses(name: str, url: str) -> Call:
    client = AsyncOpenAI(api_key=_KEY, base_url=_base(name, url), max_retries=0)

    async def call() -> None:
        async for _ in await client.responses.create(
            model=_MODEL, input=_QUESTION, stream=True, store=False
        ):
            pass

    return call


def _chat(name: str, url: str) -> Call:
    client = AsyncOpenAI(api_key=_KEY, base_url=_base(name, url), max_retries=0)

    async def call() -> None:
        async for _ in await client.chat.completions.create(
            model=_MODEL,
            messages=[{"role": "user", "content": _QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        ):
            pass

    return call


def _messages(name: str, url: str) -> Call:
    client = AsyncAnthropic(api_key=_KEY, base_url=_base(name, url), max_retries=0)

    async def call() -> None:
        async for _ in await client.messages.create(
            model=_MODEL,
            max_tokens=4096,
            messages=[{"role": "user", "content": _QUESTION}],
            stream=True,
        ):
            pass

    return call


def _mistral(name: str, url: str) -> Call:
    client = Mistral(api_key=_KEY, server_url=_base(name, url))

    async def call() -> None:
        async for _ in await client.chat.stream_async(
            model=_MODEL, messages=[UserMessage(content=_QUESTION)]
        ):
            pass

    return call


_CLIENTS: dict[str, Callable[[str, str], Call]] = {
    "anthropic": _messages,
    "compatible": _chat,
    "mistral": _mistral,
    "openai": _responses,
}


@contextmanager
def _server(name: str, words: int) -> Iterator[str]:
    command = [sys.executable, "-m", "bench.vendor", name, str(words)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.kill()
