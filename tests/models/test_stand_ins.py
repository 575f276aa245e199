"""A model that answers in another's place is not asked for what only the other one takes."""

from dataclasses import replace
from typing import Any

import pytest
import structlog

from backend.app.catalogue import PrefixCatalogue
from backend.domain.options import JsonAnswer
from backend.domain.successors import successors
from backend.errors import ModelRefused
from backend.governance.fallbacks import Fallbacks
from backend.ports.models import LLMProvider
from tests.governance.billing import ADA
from tests.models.accounts import Accounts
from tests.models.asking import ask, heard, heard_until_raised
from tests.models.canned import Canned
from tests.models.dialects import DIALECTS, whole

SUCCESSOR = "openai:gpt-5.6-sol"
SERVED = {"anthropic:claude-3-opus-20240229": "anthropic", "mine": "mistral"}
NOTHING_SENT = {"temperature": None, "top_p": None, "reasoning": None, "thinking": None}


@pytest.fixture
def models(accounts: Accounts, canned: Canned) -> LLMProvider:
    canned.will_stream(*whole(DIALECTS["openai"], DIALECTS["openai"].say("Hello")))
    names = ("openai", "anthropic", "mistral")
    providers = {name: accounts.at(canned.url_of(name), name) for name in names}
    return Fallbacks(PrefixCatalogue(providers, successors({"mine": "mistral:mistral-small-2407"})))


def sent(canned: Canned) -> dict[str, Any]:
    """Return what the last request said of sampling and reasoning."""
    body = canned.requests[-1]
    return {name: body.get(name) for name in NOTHING_SENT}


@pytest.mark.parametrize(
    ("model", "wishes", "left_out"),
    [
        ("openai:gpt-4", {"temperature": 0.7}, ("temperature",)),
        ("openai:gpt-4", {"top_p": 0.5}, ("top_p",)),
        ("openai:gpt-4", {"temperature": 0.7, "top_p": 0.5}, ("temperature", "top_p")),
        ("anthropic:claude-3-opus-20240229", {"temperature": 0.7}, ("temperature",)),
        ("mine", {"reasoning_effort": "high"}, ("reasoning_effort",)),
    ],
)
async def test_a_successor_is_not_asked_for_what_it_does_not_take(
    models: LLMProvider,
    canned: Canned,
    model: str,
    wishes: dict[str, Any],
    left_out: tuple[str, ...],
) -> None:
    name = SERVED.get(model, "openai")
    canned.will_stream(*whole(DIALECTS[name], DIALECTS[name].say("Hello")))
    with structlog.testing.capture_logs() as lines:
        await heard(models, ask("Hi", model=model, asker=ADA, **wishes))
    assert sent(canned) == NOTHING_SENT
    (line,) = [it for it in lines if it["event"] == "model.options_left_out"]
    assert (line["run_id"], line["options"]) == (ADA.run_id, left_out)


async def test_a_fallback_is_not_asked_for_what_it_does_not_take(
    models: LLMProvider, canned: Canned
) -> None:
    asked = ask("Hi", model="nobody:x", fallback_models=(SUCCESSOR,), temperature=0.7)
    await heard(models, asked)
    assert sent(canned) == NOTHING_SENT


async def test_a_cheaper_model_is_not_asked_for_what_it_does_not_take(
    models: LLMProvider, canned: Canned
) -> None:
    await heard(models, replace(ask("Hi", model=SUCCESSOR, temperature=0.7), stands_in=True))
    assert sent(canned) == NOTHING_SENT


async def test_what_it_takes_is_asked_for(models: LLMProvider, canned: Canned) -> None:
    asked = ask("Hi", model="openai:gpt-4", temperature=0.7, reasoning_effort="none")
    await heard(models, asked)
    assert sent(canned)["temperature"] == 0.7


async def test_the_model_that_a_row_names_itself_still_refuses(models: LLMProvider) -> None:
    _, error = await heard_until_raised(models, ask("Hi", model=SUCCESSOR, temperature=0.7))
    assert isinstance(error, ModelRefused)


async def test_the_form_of_an_answer_is_never_left_out(models: LLMProvider) -> None:
    asked = ask("Hi", model="claude-3-opus-20240229", answer=JsonAnswer(), temperature=0.7)
    _, error = await heard_until_raised(models, asked)
    assert isinstance(error, ModelRefused)
