"""How many tokens a model takes, as far as that is known."""

from collections.abc import Iterable, Mapping

UNKNOWN_WINDOW = 32_768
"""Of a model on a server of somebody's own, for example."""
# The longest beginning of an id that stands here counts; from the providers' pages, November 2026.
_WINDOWS = {
    "offline:": 128_000,
    "openai:": 128_000,
    "openai:gpt-3.5": 16_385,
    "openai:gpt-4": 8_192,
    "openai:gpt-4-": 128_000,
    "openai:gpt-4o": 128_000,
    "openai:gpt-4.1": 1_000_000,
    "openai:gpt-5": 400_000,
    "openai:gpt-5.3": 128_000,
    "openai:gpt-5.3-codex": 400_000,
    "openai:gpt-5.4": 1_050_000,
    "openai:gpt-5.4-mini": 400_000,
    "openai:gpt-5.4-nano": 400_000,
    "openai:gpt-5.5": 1_000_000,
    "openai:gpt-5.6": 1_050_000,
    "openai:gpt-6": 1_050_000,
    "openai:o": 200_000,
    "openai:o1-mini": 128_000,
    "openai:o1-preview": 128_000,
    "anthropic:": 200_000,
    "anthropic:claude-opus-4-6": 1_000_000,
    "anthropic:claude-opus-4-7": 1_000_000,
    "anthropic:claude-opus-4-8": 1_000_000,
    "anthropic:claude-opus-5": 1_000_000,
    "anthropic:claude-sonnet-4-6": 1_000_000,
    "anthropic:claude-sonnet-5": 1_000_000,
    "anthropic:claude-haiku-5": 1_000_000,
    "anthropic:claude-fable-5": 1_000_000,
    "anthropic:claude-mythos-5": 1_000_000,
    "mistral:": 128_000,
    "mistral:mistral-large-4": 1_048_576,
}


def window_of(models: Iterable[str], answering: Mapping[str, str]) -> int:
    """Return how many tokens each of these models takes, what it answers included.

    Args:
        models: Ids of the model that is asked and of those that are asked in its place.
        answering: Which model answers for which; it is the one whose window counts.
    """
    return min((_window(answering.get(it, it)) for it in models), default=UNKNOWN_WINDOW)


def _window(model: str) -> int:
    known = [prefix for prefix in _WINDOWS if model.startswith(prefix)]
    return _WINDOWS[max(known, key=len)] if known else UNKNOWN_WINDOW
