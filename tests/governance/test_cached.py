"""An answer is given again to those with whom it is shared, and to nobody else."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from backend.domain.asker import Asker
from backend.domain.ids import CallId
from backend.domain.messages import ToolCall
from backend.domain.usage import Usage
from backend.errors import ModelUnavailable
from backend.governance.cached import Cached
from backend.governance.caches import DatabaseCaches
from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.service_role import create_service_role
from backend.ports.clock import SystemClock
from backend.ports.models import (
    Discarded,
    Embeddings,
    Finished,
    ModelEvent,
    ModelReply,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallMade,
)
from tests.governance.billing import KeptLedger
from tests.models.asking import ask, heard, heard_until_raised
from tests.support.cluster import Database
from tests.support.manual_clock import settle

USED = Usage(10, 0, 4)
ADA = Asker("user_2ada", "org_1", "assistant_1", "run_1")
ASKED = ask("Hello", model="openai:a", asker=ADA, cache="organisation")
ANSWER: list[ModelEvent] = [
    ReasoningDelta("Hm."),
    TextDelta("It is "),
    TextDelta("five."),
    Finished("stop", USED, "x:y"),
]


class Counting:
    """Answers as told, and counts how often it was asked."""

    def __init__(self, *events: ModelEvent | Exception) -> None:
        self.events = events or tuple(ANSWER)
        self.asked = 0
        self.embedded: list[str] = []
        self.askers: list[Asker | None] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def generate(self, request: ModelRequest) -> ModelReply:
        raise NotImplementedError

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        del request
        self.asked += 1
        for event in self.events:
            await self.gate.wait()
            if isinstance(event, Exception):
                raise event
            yield event

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        del model
        self.askers.append(asker)
        self.embedded += texts
        return Embeddings([[len(text) / 3, 0.1] for text in texts], Usage(len(texts)))


class Scene:
    """Two workers before one database."""

    def __init__(self, database: Database, gateways: Sequence[AsyncpgGateway]) -> None:
        self.database = database
        self.model = Counting()
        self.ledger = KeptLedger()
        self._gateways = gateways

    def worker(self, number: int = 0, model: Counting | None = None) -> Cached:
        caches = DatabaseCaches(self._gateways[number])
        return Cached(model or self.model, caches, self.ledger, SystemClock())


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    url = await create_service_role(database.url("postgres"))
    async with AsyncExitStack() as stack:
        made = [AsyncpgGateway(url, SystemClock(), size=4, timeout_s=10) for _ in range(2)]
        yield Scene(database, [await stack.enter_async_context(it) for it in made])


def said(events: Sequence[ModelEvent], kind: type[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


async def test_the_same_request_is_answered_again_without_asking_and_costs_nothing(
    scene: Scene,
) -> None:
    first = await heard(scene.worker(), ASKED)
    again = await heard(scene.worker(1), replace(ASKED, attempt=2))

    assert first == ANSWER
    assert scene.model.asked == 1
    assert (said(again, TextDelta), said(again, ReasoningDelta)) == ("It is five.", "Hm.")
    assert again[-1] == Finished("stop", Usage(), "x:y")
    (call,) = scene.ledger.calls
    assert (call.outcome, call.usage, call.cost_usd) == ("cached", Usage(), "0")
    assert (call.provider, call.model, call.asker) == ("openai", "a", ADA)
    assert scene.database.execute("select owner from engine.cache_entries") == "organisation:org_1"


@pytest.mark.parametrize(
    ("scope", "other", "is_shared"),
    [
        ("user", replace(ADA, user_id="user_2bob"), False),
        ("user", replace(ADA, assistant_id="assistant_2"), True),
        ("user", replace(ADA, org_id=None), False),
        ("organisation", replace(ADA, user_id="user_2bob"), True),
        ("organisation", replace(ADA, org_id="org_2"), False),
        ("organisation", replace(ADA, org_id=None), False),
        ("assistant", replace(ADA, user_id="user_2bob", org_id="org_2"), True),
        ("assistant", replace(ADA, assistant_id="assistant_2"), False),
        (None, ADA, False),
    ],
)
async def test_an_answer_is_shared_as_far_as_its_assistant_says_and_no_further(
    scene: Scene, scope: Any, other: Asker, is_shared: bool
) -> None:
    request = replace(ASKED, options=replace(ASKED.options, cache=scope))
    worker = scene.worker()

    await heard(worker, request)
    await heard(worker, replace(request, asker=other))

    assert scene.model.asked == (1 if is_shared else 2)


@pytest.mark.parametrize(
    "events",
    [
        (TextDelta("a"), ToolCallMade(ToolCall(CallId("1"), "pay")), Finished("tool_calls", USED)),
        (TextDelta("a"), ToolCallMade(ToolCall(CallId("1"), "pay")), Finished("stop", USED)),
        (TextDelta("a"), Finished("length", USED)),
        (TextDelta("a"), Finished("content_filter", USED)),
        (Finished("stop", USED),),
        (TextDelta("cut off"),),
        (TextDelta("a"), ModelUnavailable("away")),
        (TextDelta("x" * 300_000), Finished("stop", USED)),
    ],
    ids=["calls", "calls_stop", "length", "filtered", "empty", "truncated", "failed", "large"],
)
async def test_what_is_no_whole_answer_or_calls_a_tool_is_not_given_again(
    scene: Scene, events: Sequence[ModelEvent | Exception]
) -> None:
    model = Counting(*events)

    for number in range(2):
        if isinstance(events[-1], Exception):
            await heard_until_raised(scene.worker(number, model), ASKED)
        else:
            assert await heard(scene.worker(number, model), ASKED) == list(events)

    assert model.asked == 2
    assert scene.database.execute("select count(*) from engine.cache_entries") == "0"


async def test_what_another_model_answered_in_place_of_one_that_failed_is_not_given_again(
    scene: Scene,
) -> None:
    model = Counting(*ANSWER[:-1], Finished("stop", USED, "x:other", stands_in=True))

    for number in range(2):
        await heard(scene.worker(number, model), ASKED)

    assert model.asked == 2
    assert scene.database.execute("select count(*) from engine.cache_entries") == "0"


async def test_what_was_taken_back_is_not_said_again(scene: Scene) -> None:
    taken_back = (ReasoningDelta("Well"), TextDelta("It is four"), Discarded(), *ANSWER)
    model = Counting(*taken_back)

    for number in range(2):
        again = await heard(scene.worker(number, model), ASKED)

    assert model.asked == 1
    assert (said(again, TextDelta), said(again, ReasoningDelta)) == ("It is five.", "Hm.")


async def test_many_at_once_share_one_call_within_a_worker_and_across_workers(
    scene: Scene,
) -> None:
    workers = [scene.worker(0), scene.worker(1)]
    scene.model.gate.clear()
    asking = [asyncio.create_task(heard(workers[number % 2], ASKED)) for number in range(10)]
    await settle()

    scene.model.gate.set()
    answers = await asyncio.gather(*asking)

    assert scene.model.asked == 1
    assert [said(answer, TextDelta) for answer in answers] == ["It is five."] * 10


async def test_who_asked_first_and_goes_away_leaves_it_to_the_next(scene: Scene) -> None:
    worker = scene.worker()
    first = worker.stream(ASKED)
    assert await anext(first) == ANSWER[0]
    waiting = asyncio.create_task(heard(worker, ASKED))
    await settle()

    await first.aclose()

    assert await waiting == ANSWER
    assert scene.model.asked == 2


async def test_an_answer_that_was_heard_to_its_end_is_kept_whatever_the_hearer_does_then(
    scene: Scene,
) -> None:
    async with aclosing(scene.worker().stream(ASKED)) as events:
        async for event in events:
            if isinstance(event, Finished):
                break

    await heard(scene.worker(1), ASKED)

    assert scene.model.asked == 1


async def test_without_a_database_everybody_is_answered() -> None:
    gateway = AsyncpgGateway(
        "postgresql://nobody@127.0.0.1:1/x", SystemClock(), size=1, timeout_s=1
    )
    async with AsyncExitStack() as stack:
        caches = DatabaseCaches(await stack.enter_async_context(gateway))
        model = Counting()
        worker = Cached(model, caches, KeptLedger(), SystemClock())

        assert await heard(worker, ASKED) == ANSWER
        assert await heard(worker, ASKED) == ANSWER
        assert (await worker.embed(["a"], model="m")).usage == Usage(1)
    assert model.asked == 2


async def test_equal_texts_are_embedded_once_in_their_order(scene: Scene) -> None:
    first = await scene.worker().embed(["one", "three", "one"], model="m")
    again = await scene.worker(1).embed(["four!!", "three", "one"], model="m", asker=ADA)
    other = await scene.worker().embed(["one"], model="n")

    assert scene.model.embedded == ["one", "three", "four!!", "one"]
    assert (first.usage, again.usage) == (Usage(2), Usage(1))
    assert scene.model.askers == [None, ADA, None]
    assert first.vectors[0] == first.vectors[2] == again.vectors[2] == other.vectors[0]
    assert again.vectors[1] == first.vectors[1]
    assert again.vectors[0] == pytest.approx([2.0, 0.1], rel=1e-7)


async def test_thousands_of_texts_are_looked_up_in_batches(scene: Scene) -> None:
    texts = [f"text {number}" for number in range(1200)]
    await scene.worker().embed(texts, model="m")

    found = await scene.worker(1).embed(texts, model="m")

    assert len(scene.model.embedded) == 1200
    assert (len(found.vectors), found.usage) == (1200, Usage())
    assert scene.database.execute("select hits, misses from engine.cache_days") == "1200|1200"
