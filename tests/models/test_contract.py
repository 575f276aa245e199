"""What every provider promises, asked of each."""

import math

import pytest

from backend.devkit.offline_model import OfflineModel
from backend.ports.clock import SystemClock
from backend.ports.models import Finished, LLMProvider, Named, TextDelta, ToolCallMade
from tests.models.accounts import Accounts
from tests.models.asking import COIN, DICE, ask, heard, text_of
from tests.models.servers import Unreliable


@pytest.fixture(params=["offline", "openai"])
def provider(
    request: pytest.FixtureRequest, unreliable: Unreliable, accounts: Accounts
) -> LLMProvider:
    """Return each provider; those of other companies speak to a mock."""
    made: dict[str, LLMProvider] = {
        "offline": OfflineModel(SystemClock()),
        "openai": accounts.at(unreliable.base_url),
    }
    return made[request.param]


async def test_a_stream_ends_with_its_only_final_event(provider: LLMProvider) -> None:
    events = await heard(provider, ask("How are you today?"))
    assert [type(event) for event in events].count(Finished) == 1
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"
    assert events[-1].usage.output_tokens > 0


async def test_the_words_are_in_the_pieces(provider: LLMProvider) -> None:
    events = await heard(provider, ask("How are you today?"))
    assert all(event.text for event in events if isinstance(event, TextDelta))
    assert text_of(events) == (await provider.generate(ask("How are you today?"))).text != ""


async def test_a_demanded_tool_is_called_before_the_end(provider: LLMProvider) -> None:
    demand = ask("Do it", tools=(DICE, COIN), tool_choice=Named("flip_coin"))
    events = await heard(provider, demand)
    made = [event.call for event in events if isinstance(event, ToolCallMade)]
    assert [call.name for call in made] == ["flip_coin"]
    assert all(call.call_id for call in made)
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"


async def test_texts_become_unit_vectors_of_one_size(provider: LLMProvider) -> None:
    found = await provider.embed(["one", "two", ""], model="text-embedding-3-small")
    assert len(found.vectors) == 3
    assert len({len(vector) for vector in found.vectors}) == 1
    assert [math.hypot(*vector) for vector in found.vectors] == pytest.approx([1, 1, 1])
    assert list(found.vectors[0]) != list(found.vectors[1])
