"""A retired model is answered for by one that is current, unless the operator says otherwise."""

import re

import pytest

from backend.domain.successors import successors


@pytest.mark.parametrize(
    "retired",
    ["gpt-4-1106-preview", "gpt-4-turbo-preview", "gpt-3.5-turbo", "gpt-4o", "openai:gpt-4"],
)
def test_openais_retired_models_have_a_successor_there(retired: str) -> None:
    assert successors({})[retired].startswith("openai:")


def test_anthropics_retired_models_have_a_successor_there() -> None:
    found = successors({})
    for retired in ("claude-3-opus-20240229", "anthropic:claude-3-opus-20240229"):
        assert found[retired] == "anthropic:claude-opus-5"


def test_no_successor_is_retired_itself_and_each_is_an_id() -> None:
    found = successors({})
    assert not found.keys() & set(found.values())
    assert all(re.fullmatch(r"[a-z]+:[a-z0-9.-]+", model) for model in found.values())


def test_the_operator_names_another_successor_with_or_without_the_provider() -> None:
    for given in ("gpt-4o", "openai:gpt-4o"):
        found = successors({given: "anthropic:claude-sonnet-5"})
        assert found["gpt-4o"] == found["openai:gpt-4o"] == "anthropic:claude-sonnet-5"


def test_a_model_that_is_its_own_successor_stays() -> None:
    found = successors({"gpt-4o": "openai:gpt-4o"})
    assert found["openai:gpt-4o"] == found["gpt-4o"] == "openai:gpt-4o"


def test_any_model_can_be_replaced() -> None:
    found = successors({"ollama:llama3": "ollama:llama3.2", "small": "openai:gpt-5.6-luna"})
    assert found["ollama:llama3"] == "ollama:llama3.2"
    assert found["small"] == "openai:gpt-5.6-luna"
    assert "openai:small" not in found


def test_a_server_that_serves_a_model_of_the_same_name_keeps_it() -> None:
    assert "compatible:gpt-4o" not in successors({"gpt-4o": "openai:gpt-5.6-sol"})
