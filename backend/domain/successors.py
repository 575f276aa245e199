"""Models that their providers have retired, and which ones answer in their place.

OpenAI's are those that it recommends. Anthropic's and Mistral's are of the same size, and take what
the retired ones took: the newest of Anthropic's refuse a tool that must be called.
"""

from collections.abc import Mapping

_RETIRED: Mapping[str, tuple[str, ...]] = {
    "openai:gpt-5.6-sol": (
        "gpt-4",
        "gpt-4-0125-preview",
        "gpt-4-0314",
        "gpt-4-0613",
        "gpt-4-1106-preview",
        "gpt-4-32k",
        "gpt-4-turbo",
        "gpt-4-turbo-2024-04-09",
        "gpt-4-turbo-preview",
        "gpt-4-vision-preview",
        "gpt-4.5-preview",
        "gpt-4o-2024-05-13",
        "chatgpt-4o-latest",
        "o1",
        "o1-2024-12-17",
        "o1-mini",
        "o1-preview",
        "o3-mini",
        "o3-mini-2025-01-31",
    ),
    "openai:gpt-5.6-terra": (
        "gpt-3.5-turbo",
        "gpt-3.5-turbo-0125",
        "gpt-3.5-turbo-0613",
        "gpt-3.5-turbo-1106",
        "gpt-3.5-turbo-16k",
        "o4-mini",
        "o4-mini-2025-04-16",
    ),
    "openai:gpt-5.6-luna": ("gpt-4.1-nano", "gpt-4.1-nano-2025-04-14"),
    "openai:gpt-6-luna": ("gpt-4o",),
    "anthropic:claude-opus-5": (
        "claude-2.0",
        "claude-2.1",
        "claude-3-opus-20240229",
        "claude-3-opus-latest",
        "claude-opus-4-0",
        "claude-opus-4-20250514",
    ),
    "anthropic:claude-sonnet-5": (
        "claude-3-sonnet-20240229",
        "claude-3-5-sonnet-20240620",
        "claude-3-5-sonnet-20241022",
        "claude-3-5-sonnet-latest",
        "claude-3-7-sonnet-20250219",
        "claude-3-7-sonnet-latest",
        "claude-sonnet-4-0",
        "claude-sonnet-4-20250514",
    ),
    "anthropic:claude-haiku-5-5": (
        "claude-instant-1.2",
        "claude-3-haiku-20240307",
        "claude-3-5-haiku-20241022",
        "claude-3-5-haiku-latest",
    ),
    "mistral:mistral-small-latest": ("mistral-tiny", "open-mistral-7b", "open-mixtral-8x7b"),
    "mistral:mistral-medium-latest": ("open-mixtral-8x22b",),
}


def successors(overrides: Mapping[str, str]) -> Mapping[str, str]:
    """Return which model id answers for which: a retired id, or its name without a provider.

    Args:
        overrides: Of the operator: a name or an id to an id. A model that is its own successor is
            not replaced.
    """
    table: dict[str, str] = {}
    for successor, names in _RETIRED.items():
        prefix = successor.partition(":")[0]
        for name in names:
            table[name] = table[f"{prefix}:{name}"] = successor
    ours = tuple(table)
    for given, successor in overrides.items():
        name = given.rpartition(":")[2]
        same = (known for known in ours if known.rpartition(":")[2] == name)
        table.update(dict.fromkeys((given, *(same if given in table else ())), successor))
    return table
