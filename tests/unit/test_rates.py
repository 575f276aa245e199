"""Limits as an operator writes them."""

import pytest

from backend.domain.rates import Rate, parse_rates


def test_limits_stand_behind_models_and_apart_by_commas() -> None:
    assert parse_rates("openai:*=500rpm/200000tpm, anthropic:claude-x=50rpm,") == (
        Rate("openai:*", 500, 200_000),
        Rate("anthropic:claude-x", 50),
    )
    assert parse_rates("mistral:*=9tpm") == (Rate("mistral:*", None, 9),)


@pytest.mark.parametrize(
    "text",
    ["openai", "openai:*", "openai:*=", "openai:*=500", "openai:*=0rpm", "*=5rpm", "o:*=5rpm/6rpm",
     "o:*=5rpm/x", "o:*=-5rpm"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="500rpm/200000tpm"):
        parse_rates(text)


def test_a_rate_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"at openai:\*, each rate is a whole number from 1 on"):
        parse_rates("mistral:*=9tpm,openai:*=0rpm")


def test_a_star_stands_for_anything_and_case_counts() -> None:
    rate = Rate("openai:gpt-6-*", 1)
    assert rate.concerns("openai:gpt-6-luna")
    assert not rate.concerns("openai:gpt-5.4")
    assert not rate.concerns("openai:GPT-6-luna")
