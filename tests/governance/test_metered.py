"""Every call of a provider is in the ledger, to the token, whatever became of it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from decimal import Decimal

import httpx2
import pytest

from backend.domain.usage import Usage
from backend.errors import AssistantsError, DatabaseUnavailable, ModelRateLimited
from backend.governance.estimates import input_bound
from backend.governance.gates import limited
from backend.governance.metered import Metered
from backend.ports.limits import Asked, NoLimits, Turn
from backend.ports.models import Finished, ModelEvent, ModelRequest, TextDelta
from tests.governance.billing import ADA, KeptLedger, billing
from tests.models.accounts import KEY, Accounts
from tests.models.asking import ask, heard, heard_until_raised
from tests.models.canned import ANSWERED, Canned
from tests.models.dialects import DIALECTS, whole
from tests.models.servers import USAGE, Scripted, Unreliable
from tests.support.manual_clock import ManualClock

QUESTION = "How tall is the Brocken?"
REQUEST = ask(QUESTION, model="gpt-5.4", asker=ADA)


async def test_a_call_is_counted_as_the_server_counts_it(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    ledger = KeptLedger()
    provider = accounts.at(unreliable.url_of(name), name)
    unreliable.will_answer("", "1,141 metres above the sea.")

    *_, final = await heard(Metered(provider, name, billing(ledger)), REQUEST)

    (call,) = ledger.calls
    assert isinstance(final, Finished)
    assert (call.asker, call.provider, call.model) == (ADA, name, "gpt-5.4")
    assert call.usage == final.usage
    assert (call.outcome, call.first_token_ms is None) == ("completed", False)
    if name == "mistral":
        # llmock counts nothing in Mistral's streams: then the bound stands in.
        assert call.is_estimated
        assert call.usage.input_tokens == input_bound(REQUEST)
        return
    unreliable.will_answer("", "1,141 metres above the sea.")
    assert (call.usage.input_tokens, call.usage.output_tokens) == own_count(unreliable)
    assert not call.is_estimated


def own_count(server: Unreliable) -> tuple[int, int]:
    """Return how many tokens llmock itself counts, asked without any of our code."""
    body = {"model": "gpt-5.4", "input": [{"role": "user", "content": QUESTION}]}
    headers = {"authorization": f"Bearer {KEY}"}
    url = f"{server.base_url}/responses"
    usage = httpx2.post(url, json=body, headers=headers, trust_env=False).json()["usage"]
    return usage["input_tokens"], usage["output_tokens"]


async def test_usage_and_cost_are_those_of_the_script_to_the_token(
    scripted: Scripted, accounts: Accounts
) -> None:
    ledger = KeptLedger()
    provider = Metered(accounts.at(scripted.base_url), "openai", billing(ledger))
    scripted.will_say("Brocken", {"content": "1,141 metres.", "usage": USAGE})

    for _ in range(3):
        await heard(provider, REQUEST)

    assert [call.usage for call in ledger.calls] == [Usage(21, 0, 5)] * 3
    # 2.5 dollars a million in, 15 out.
    expected = (21 * Decimal("2.5") + 5 * Decimal(15)) / 1_000_000
    assert [Decimal(call.cost_usd or 0) for call in ledger.calls] == [expected] * 3
    assert len({call.call_id for call in ledger.calls}) == 3


async def test_the_version_that_answered_is_recorded_beside_the_name_that_was_asked(
    canned: Canned, name: str, accounts: Accounts
) -> None:
    ledger, dialect = KeptLedger(), DIALECTS[name]
    canned.will_stream(*whole(dialect, dialect.say("Five.")))

    await heard(Metered(accounts.at(canned.url_of(name), name), name, billing(ledger)), REQUEST)

    (call,) = ledger.calls
    assert (call.model, call.asked_model) == (ANSWERED, REQUEST.model)


async def test_a_call_is_recorded_before_it_is_reported_as_finished(
    scripted: Scripted, accounts: Accounts
) -> None:
    ledger = KeptLedger()
    scripted.will_say("Brocken", {"content": "1,141 metres.", "usage": USAGE})
    provider = Metered(accounts.at(scripted.base_url), "openai", billing(ledger))

    async with aclosing(provider.stream(REQUEST)) as events:
        async for event in events:
            assert bool(ledger.calls) is isinstance(event, Finished)


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "malformed"])
async def test_a_call_that_breaks_is_estimated_by_what_was_heard(
    unreliable: Unreliable, accounts: Accounts, kind: str
) -> None:
    ledger = KeptLedger()
    unreliable.will_break(kind, after_chunks=8)
    unreliable.will_answer("", "one two three four five six seven eight")
    provider = Metered(accounts.at(unreliable.base_url), "openai", billing(ledger))

    events: list[ModelEvent] = []
    with suppress(AssistantsError):
        events = await heard(provider, REQUEST)

    (call,) = ledger.calls
    assert call.is_estimated
    assert call.outcome in {"model_unavailable", "model_stream_truncated", "model_reply_unreadable"}
    assert call.usage.input_tokens == input_bound(REQUEST) > 0
    assert call.usage.output_tokens > 0
    assert not any(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize("ending", ["closed", "cancelled"])
async def test_a_call_that_nobody_wants_any_more_is_estimated_and_waits_for_nothing(
    unreliable: Unreliable, accounts: Accounts, ending: str
) -> None:
    ledger = KeptLedger()
    unreliable.will_break("stall", after_chunks=8)
    provider = Metered(accounts.at(unreliable.base_url), "openai", billing(ledger))
    told: list[Usage] = []
    stream = provider.stream(replace(REQUEST, when_cut=told.append))
    first = await anext(stream)
    assert isinstance(first, TextDelta)

    if ending == "closed":
        await stream.aclose()
    else:
        task = asyncio.create_task(_rest(stream))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    (call,) = ledger.calls
    assert (call.outcome, call.is_estimated) == ("cancelled", True)
    assert call.usage.output_tokens >= 1
    assert told == [call.usage]


async def _rest(stream: AsyncGenerator[ModelEvent, None]) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "model_refused"), (429, "model_rate_limited"), (404, "model_not_found")],
)
async def test_a_call_that_is_refused_costs_nothing_and_is_recorded(
    unreliable: Unreliable, accounts: Accounts, status: int, code: str
) -> None:
    ledger = KeptLedger()
    unreliable.will_fail(status)
    provider = Metered(accounts.at(unreliable.base_url), "openai", billing(ledger))

    await heard_until_raised(provider, REQUEST)

    (call,) = ledger.calls
    assert (call.outcome, call.usage, call.is_estimated) == (code, Usage(), False)
    assert call.first_token_ms is None


class Full:
    """Limits of our own that are reached."""

    async def take(self, asked: Asked) -> Turn:
        del asked
        raise limited(30)


async def test_a_call_that_waits_for_its_turn_at_our_own_limit_was_not_made(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    ledger = KeptLedger()
    provider = Metered(accounts.at(unreliable.base_url, limits=Full()), "openai", billing(ledger))

    _, error = await heard_until_raised(provider, REQUEST)
    with pytest.raises(ModelRateLimited):
        await provider.embed(["a"], model="text-embedding-3-small", asker=ADA)

    assert isinstance(error, ModelRateLimited)
    assert (ledger.calls, unreliable.requests()) == ([], [])


@pytest.mark.parametrize("status", [408, 500, 503, 529])
async def test_a_call_that_a_server_turned_away_costs_nothing_whatever_the_model(
    unreliable: Unreliable, name: str, accounts: Accounts, status: int
) -> None:
    ledger = KeptLedger()
    unreliable.will_fail(status)
    provider = Metered(accounts.at(unreliable.url_of(name), name), name, billing(ledger))

    await heard_until_raised(provider, replace(REQUEST, model="of-nobodys-list"))

    (call,) = ledger.calls
    assert (call.outcome, call.usage, call.is_estimated) == ("model_unavailable", Usage(), False)
    assert Decimal(call.cost_usd or 1) == 0


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://nobody.invalid", "tls"])
async def test_a_call_for_which_there_was_no_connection_costs_nothing(
    unreliable: Unreliable, name: str, accounts: Accounts, address: str
) -> None:
    ledger = KeptLedger()
    # llmock speaks no TLS.
    url = unreliable.base_url.replace("http", "https") if address == "tls" else address
    provider = Metered(accounts.at(url, name), name, billing(ledger))

    await heard_until_raised(provider, REQUEST)

    (call,) = ledger.calls
    assert (call.outcome, call.usage, call.is_estimated) == ("model_unavailable", Usage(), False)
    assert Decimal(call.cost_usd or 1) == 0


async def test_a_call_that_was_sent_and_not_answered_is_estimated(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    ledger = KeptLedger()
    unreliable.will({"type": "slow_first_token", "seconds": 20})
    provider = accounts.at(unreliable.url_of(name), name, silence_s=1)

    await heard_until_raised(Metered(provider, name, billing(ledger)), REQUEST)

    (call,) = ledger.calls
    assert (call.outcome, call.is_estimated) == ("model_unavailable", True)
    assert call.usage == Usage(input_tokens=input_bound(REQUEST))


class Keyless:
    """Keys that cannot be had: nobody is asked."""

    async def current(self) -> Sequence[str]:
        raise DatabaseUnavailable("The database is away.")


async def test_a_call_for_which_there_was_no_key_costs_nothing(accounts: Accounts) -> None:
    ledger = KeptLedger()
    provider = accounts.at("http://127.0.0.1:9", keys=Keyless())

    await heard_until_raised(Metered(provider, "openai", billing(ledger)), REQUEST)

    assert [(it.usage, it.is_estimated) for it in ledger.calls] == [(Usage(), False)]


async def test_embeddings_are_calls_too(canned: Canned, accounts: Accounts) -> None:
    ledger = KeptLedger()
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    data = [{"object": "embedding", "index": 0, "embedding": [3.0, 4.0]}]
    found = {"object": "list", "model": "m", "data": data, "usage": usage}
    provider = Metered(accounts.at(canned.base_url), "openai", billing(ledger))
    canned.will_send(200, found)
    await provider.embed(["a"], model="text-embedding-3-small")
    canned.will_send(500, {"error": {"message": "no"}})

    with pytest.raises(AssistantsError):
        await provider.embed(["a" * 35], model="text-embedding-3-small")

    done, failed = ledger.calls
    assert (done.usage, done.outcome, done.is_estimated) == (Usage(7), "completed", False)
    assert Decimal(done.cost_usd or 0) == Decimal("0.00000014")
    assert (failed.usage, failed.is_estimated) == (Usage(), False)


class Once(Full):
    """One call is left of them."""

    left = 1

    async def take(self, asked: Asked) -> Turn:
        self.left -= 1
        return await super().take(asked) if self.left < 0 else await NoLimits().take(asked)


async def test_embeddings_whose_first_part_was_answered_are_no_gift(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    ledger = KeptLedger()
    provider = Metered(accounts.at(unreliable.base_url, limits=Once()), "openai", billing(ledger))

    with pytest.raises(ModelRateLimited):
        await provider.embed(["a" * 200_000, "b" * 200_000], model="text-embedding-3-small")

    (call,) = ledger.calls
    assert len(unreliable.requests()) == 1
    assert (call.outcome, call.is_estimated) == ("model_rate_limited", True)
    assert call.usage.input_tokens > 100_000


class Slow:
    """Says a word after two seconds, and has ended after three more, by the test's clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        del request
        await self._clock.sleep(2)
        yield TextDelta("Hm")
        await self._clock.sleep(3)
        yield Finished("stop", Usage(1, 0, 1), "answered-by-another")

    generate = embed = None


async def test_times_and_the_model_that_answered_are_those_of_the_call() -> None:
    clock, ledger = ManualClock(), KeptLedger()
    provider = Metered(Slow(clock), "openai", billing(ledger, clock))  # type: ignore[arg-type]
    asking = asyncio.create_task(provider.generate(REQUEST))

    await clock.advance(10)
    await asking

    (call,) = ledger.calls
    assert (call.first_token_ms, call.duration_ms) == (2000, 5000)
    assert (call.model, call.cost_usd) == ("answered-by-another", None)
    assert call.asked_model == REQUEST.model
