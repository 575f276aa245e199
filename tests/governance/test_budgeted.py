"""A run is answered by a cheaper model above a soft limit, and by none above a hard one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from uuid import uuid4

import pytest
import pytest_asyncio
import structlog

from backend.devkit.offline_model import OfflineModel
from backend.errors import BudgetExceeded
from backend.governance.budgeted import Budgeted
from backend.governance.fallbacks import Fallbacks
from backend.governance.ledger import DatabaseLedger
from backend.governance.metered import Billing, Metered
from backend.governance.prices import ListedPrices
from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.service_role import create_service_role
from backend.ports.clock import SystemClock
from backend.ports.models import Finished, ModelEvent, ModelRequest, ServedModel
from tests.governance.billing import ADA
from tests.models.asking import ask, heard
from tests.support.cluster import Database
from tests.support.manual_clock import ManualClock
from tests.support.scripted_gateway import ScriptedGateway, returns

DEAR, CHEAP = "offline:dear", "offline:demo"
ASKED = ask("Hello", model=DEAR, asker=ADA, fallback_models=(DEAR,))


class Catalogue:
    """Serves every model by the offline one, and meters it."""

    def __init__(self, billing: Billing) -> None:
        self.provider = Metered(OfflineModel(SystemClock()), "offline", billing)
        self.asked: list[str] = []

    def find(self, model: str) -> ServedModel:
        self.asked.append(model)
        return ServedModel(model, "demo", self.provider)


class Scene:
    """A database, and a chain of providers before it."""

    def __init__(self, database: Database, gateway: AsyncpgGateway) -> None:
        clock, prices = SystemClock(), ListedPrices()
        self.database = database
        self.catalogue = Catalogue(Billing(DatabaseLedger(gateway, clock), prices, clock))
        self.models = Budgeted(Fallbacks(self.catalogue), gateway, prices, clock)

    def allow(self, limits: str) -> None:
        columns = "scope, period, cheaper_model, soft_tokens, hard_tokens"
        self.database.execute(
            f"insert into engine.budgets ({columns}) values ('user', 'day', '{CHEAP}', {limits})"
        )


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    url = await create_service_role(database.url("postgres"))
    async with AsyncExitStack() as stack:
        opened = AsyncpgGateway(url, SystemClock(), size=8, timeout_s=10)
        yield Scene(database, await stack.enter_async_context(opened))


async def test_the_cheaper_model_answers_above_a_soft_limit_and_is_named(scene: Scene) -> None:
    scene.allow("1, null")
    with structlog.testing.capture_logs() as lines:
        first, second = [(await heard(scene.models, ASKED))[-1] for _ in range(2)]

    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert (first.model, second.model) == (DEAR, CHEAP)
    assert scene.catalogue.asked == [DEAR, CHEAP]
    (line,) = lines
    assert (line["event"], line["limit"], line["instead"]) == (
        "budget.spared",
        "user_tokens_per_day",
        CHEAP,
    )


async def test_nobody_is_asked_above_a_hard_limit(scene: Scene) -> None:
    scene.allow("null, 1")
    await heard(scene.models, ASKED)

    with pytest.raises(BudgetExceeded, match="1 tokens a day per user") as raised:
        await scene.models.generate(ASKED)

    assert scene.catalogue.asked == [DEAR]
    assert (raised.value.code, raised.value.retryable) == ("budget_exceeded", False)


async def test_many_runs_at_once_overshoot_by_one_call_at_most(scene: Scene) -> None:
    """Twelve calls that may take some 1,100 tokens each meet a budget of 3,000."""
    scene.allow("null, 3000")
    asked = [replace(ASKED, asker=replace(ADA, run_id=None)) for _ in range(12)]

    ends = await asyncio.gather(
        *(scene.models.generate(request) for request in asked), return_exceptions=True
    )

    refused = [end for end in ends if isinstance(end, BudgetExceeded)]
    assert len(ends) - len(refused) <= 3
    assert len(refused) >= 9


async def test_vectors_are_within_the_askers_budget_and_of_the_model_that_was_asked(
    scene: Scene,
) -> None:
    scene.allow("1, 40")
    asker = replace(ADA, run_id=str(uuid4()))
    texts = ["five words of some text"] * 5
    for _ in range(2):
        await scene.models.embed(texts, model=DEAR, asker=asker)

    with pytest.raises(BudgetExceeded):
        await scene.models.embed(texts, model=DEAR, asker=asker)

    await scene.models.embed(texts, model=DEAR)
    assert scene.catalogue.asked == [DEAR] * 3


async def test_the_operators_own_questions_have_no_budget(scene: Scene) -> None:
    scene.allow("null, 0")

    assert (await scene.models.generate(replace(ASKED, asker=None))).text


async def test_where_there_are_no_budgets_nobody_asks_for_some_seconds() -> None:
    clock = ManualClock()
    gateway = ScriptedGateway(reserve_budget=returns({"state": "none"}))
    provider = Budgeted(OfflineModel(SystemClock()), gateway, ListedPrices(), clock)

    for _ in range(3):
        await provider.generate(replace(ASKED, model="demo"))
    assert len(gateway.calls) == 1
    await clock.advance(6)
    await provider.generate(replace(ASKED, model="demo"))

    assert len(gateway.calls) == 2


class Witness(OfflineModel):
    """Remembers whether it was asked in another's place."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.stood_in: list[bool] = []

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        self.stood_in.append(request.stands_in)
        async for event in super().stream(replace(request, model="demo")):
            yield event


@pytest.mark.parametrize(("found", "stands_in"), [("none", False), ("soft", True)])
async def test_the_cheaper_model_knows_that_the_options_are_anothers(
    found: str, *, stands_in: bool
) -> None:
    answer = {"state": found, "model": CHEAP, "limit": "user_usd_per_day"}
    gateway, witness = ScriptedGateway(reserve_budget=returns(answer)), Witness()
    await Budgeted(witness, gateway, ListedPrices(), ManualClock()).generate(ASKED)
    assert witness.stood_in == [stands_in]
