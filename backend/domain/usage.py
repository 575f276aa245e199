"""Tokens that a model call cost, as its provider counts them."""

from dataclasses import dataclass

from backend.domain.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of one call or, added up, of a run."""

    input_tokens: int = 0
    cached_tokens: int = 0
    """The part of the input that the provider had in its cache."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """The part of the output that was thought, not said."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    def as_json(self) -> JsonObject:
        """Return the form that rows keep."""
        return {
            "input_tokens": self.input_tokens,
            "cached_tokens": self.cached_tokens,
            "output_tokens": self.output_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }


def usage_from_json(value: object) -> Usage:
    """Return what a row kept; anything else counts as nothing."""
    if not isinstance(value, dict):
        return Usage()
    names = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
    counts = (value.get(name) for name in names)
    return Usage(*(count if isinstance(count, int) else 0 for count in counts))
