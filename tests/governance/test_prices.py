"""What a call costs by the public lists: by the model that answered, and null where nobody knows."""

from decimal import Decimal

import pytest

from backend.domain.usage import Usage
from backend.governance.prices import ListedPrices

USAGE = Usage(input_tokens=10_000, cached_tokens=4_000, output_tokens=1_000, reasoning_tokens=400)


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-6-astra", "0.114"),
        ("openai", "gpt-5.4", "0.031"),
        ("openai", "gpt-5.4-2026-03-05", "0.031"),
        ("openai", "gpt-4o", "0.030"),
        ("anthropic", "claude-sonnet-5", "0.0228"),
        ("mistral", "mistral-large-2512", "0.0047"),
    ],
)
def test_cached_tokens_are_cheaper_and_thoughts_are_part_of_the_output(
    provider: str, model: str, usd: str
) -> None:
    assert Decimal(ListedPrices().cost_usd(provider, model, USAGE) or 0) == Decimal(usd)


def test_tokens_that_go_into_a_cache_cost_more() -> None:
    usage = Usage(10_000, 4_000, 1_000, 0, cache_write_tokens=2_000)

    assert ListedPrices().cost_usd("anthropic", "claude-sonnet-5", usage) == "0.0238"


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-nobody-knows"),
        ("offline", "demo"),
        ("ollama", "gpt-5.4"),
        # Under these names the list has models of before.
        ("mistral", "mistral-large-latest"),
        ("mistral", "magistral-medium-latest"),
        # Has a price by the minute only, which is not what we count.
        ("openai", "whisper-1"),
    ],
)
def test_what_nobody_knows_is_null_and_never_zero(provider: str, model: str) -> None:
    assert ListedPrices().cost_usd(provider, model, USAGE) is None


def test_counts_that_contradict_each_other_have_no_price() -> None:
    assert ListedPrices().cost_usd("openai", "gpt-5.4", Usage(10, 4_000, 1)) is None


def test_a_server_of_ones_own_is_priced_by_its_address_where_there_is_a_list() -> None:
    prices = ListedPrices(
        {"mistral-api": "https://api.mistral.ai/v1", "ollama": "http://localhost:11434/v1"}
    )

    assert prices.cost_usd("mistral-api", "mistral-large-2512", USAGE) == "0.0047"
    assert prices.cost_usd("ollama", "mistral-large-2512", USAGE) is None
