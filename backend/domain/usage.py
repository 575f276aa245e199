"""Tokens that a model call cost, as its provider counts them."""

from dataclasses import asdict, dataclass, fields

from backend.domain.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of one call or, added up, of a run."""

    input_tokens: int = 0
    """All of the input, what came from a cache and what went into one included."""
    cached_tokens: int = 0
    """The part of the input that the provider had in its cache."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """The part of the output that was thought, not said."""
    cache_write_tokens: int = 0
    """The part of the input that the provider put into its cache."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, it.name) + getattr(other, it.name) for it in fields(self)))

    def as_json(self) -> JsonObject:
        """Return the form that rows keep."""
        return asdict(self)


def usage_from_json(value: object) -> Usage:
    """Return what a row kept; anything else counts as nothing."""
    if not isinstance(value, dict):
        return Usage()
    counts = (value.get(it.name) for it in fields(Usage))
    return Usage(*(count if isinstance(count, int) else 0 for count in counts))
