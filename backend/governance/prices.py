"""What a call costs by the public price lists that genai-prices brings along; nothing is fetched."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from backend.domain.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

_LISTED = frozenset({"anthropic", "mistral", "openai"})
# The list has them at the price of an older model. Nobody's price is better than a wrong one, and the
# operator may set it: engine.model_prices.
_MISLEADING = frozenset({"mistral-large-latest", "magistral-medium-latest"})


class Prices(Protocol):
    """Knows what models cost."""

    def cost_usd(
        self, provider: str, model: str, usage: Usage, *, batch_factor: float | None = None
    ) -> str | None:
        """Return the digits of what so many tokens cost, or None where nobody knows; never 0 for that.

        Args:
            provider: The prefix of the model's id.
            model: The provider's own name of the one that answered.
            usage: Of one call: prices of large inputs may differ.
            batch_factor: Of a call in a batch: what part of the direct price it costs, where the
                list has no price for batches.
        """
        ...


class ListedPrices:
    """The price lists, for the prefixes of the providers themselves and for servers with an address."""

    def __init__(self, addresses: Mapping[str, str] | None = None) -> None:
        """Ready; the lists are read when the first price is asked for.

        Args:
            addresses: Of own servers by prefix: some of them are providers that have a list.
        """
        self._addresses = addresses or {}

    def cost_usd(
        self, provider: str, model: str, usage: Usage, *, batch_factor: float | None = None
    ) -> str | None:
        """Return the digits of what so many tokens cost, or None where nobody knows."""
        where: dict[str, Any]
        if provider in _LISTED:
            where = {"provider_id": provider}
        elif provider in self._addresses:
            where = {"provider_api_url": self._addresses[provider]}
        else:
            return None
        if model in _MISLEADING:
            return None
        direct = _cost(where, model, usage)
        if batch_factor is None or direct is None:
            return None if direct is None else format(direct, "f")
        listed = _cost({**where, "price_context": {"processing": "batch"}}, model, usage)
        # Where it has none, the list gives the direct price.
        is_listed = listed is not None and listed < direct
        return format(listed if is_listed else direct * Decimal(str(batch_factor)), "f")


def _cost(where: Mapping[str, Any], model: str, usage: Usage) -> Decimal | None:
    # A third of a second of CPU, which is spent already where a hosted model has answered.
    from genai_prices import Usage as Counts  # noqa: PLC0415
    from genai_prices import calc_price  # noqa: PLC0415

    counts = Counts(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        found = calc_price(counts, model, **where)
    except (LookupError, ValueError):
        # No such model; or counts that contradict each other, as a server may send.
        return None
    return found.total_price if _is_whole(found, usage) else None


def _is_whole(found: "PriceCalculation", usage: Usage) -> bool:
    """Whether each kind of token has a price: what the list lacks would count as free."""
    prices = found.model_price
    has_input = prices.input_mtok is not None or not usage.input_tokens
    has_output = prices.output_mtok is not None or not usage.output_tokens
    is_free = found.total_price == Decimal(0) and usage.input_tokens + usage.output_tokens > 0
    return has_input and has_output and not is_free
