"""How an assistant wants its model asked, beside instructions and tools."""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from backend.domain.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Named:
    """The model must call this tool."""

    name: str


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """The answer is one JSON value."""

    name: str = "answer"
    schema: JsonObject | None = None
    """None: any object."""
    description: str | None = None
    is_strict: bool = False
    """The provider guarantees the schema, as far as it can."""


@dataclass(frozen=True, slots=True)
class Truncation:
    """How much of a long conversation the model is given."""

    kind: Literal["auto", "last_messages", "max_tokens"] = "auto"
    """`auto` drops the middle only where the model's window would be exceeded."""
    count: int = 0
    """Of messages or of tokens, whatever the kind counts."""
    is_summarised: bool = False
    """What is cut is told in a few words of the same model."""


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | Named
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high"]
CacheScope: TypeAlias = Literal["user", "organisation", "assistant"]
Service: TypeAlias = Literal["default", "batch"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a row may set; None leaves it to the provider."""

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    reasoning_effort: Effort | None = None
    answer: JsonAnswer | None = None
    """None: text."""
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    truncation: Truncation = field(default_factory=Truncation)
    fallback_models: tuple[str, ...] = ()
    """Asked in this order where the assistant's own model fails before its first word."""
    fallback_after_words: bool = False
    """Also where it fails later: what was said is discarded."""
    cache: CacheScope | None = None
    """With whom an answer to the very same request is shared; None: with nobody."""
    service: Service = "default"
    """`batch`: the answer may take hours, and costs less."""


def options_from_json(row: Any) -> Options:
    """Return the options of a row; the database has checked it (`engine.is_options`)."""
    given = dict(row or {})
    answer = _answer(given.pop("response_format", None))
    choice = _choice(given.pop("tool_choice", "auto"))
    truncation = _truncation(given.pop("truncation", None))
    fallbacks = tuple(given.pop("fallback_models", ()))
    if given.get("max_output_tokens") is not None:
        given["max_output_tokens"] = int(given["max_output_tokens"])
    known = {name: given[name] for name in _PLAIN if given.get(name) is not None}
    return Options(
        answer=answer,
        tool_choice=choice,
        truncation=truncation,
        fallback_models=fallbacks,
        **known,
    )


_PLAIN = (
    "temperature",
    "top_p",
    "max_output_tokens",
    "reasoning_effort",
    "parallel_tool_calls",
    "fallback_after_words",
    "cache",
    "service",
)


def _choice(given: Any) -> ToolChoice:
    choice: ToolChoice = given
    return Named(given["function"]["name"]) if isinstance(given, dict) else choice


def _answer(given: Any) -> JsonAnswer | None:
    match given:
        case {"type": "json_object"}:
            return JsonAnswer()
        case {"type": "json_schema", "json_schema": dict(asked)}:
            strict = asked.get("strict") is True
            return JsonAnswer(asked["name"], asked["schema"], asked.get("description"), strict)
        case _:
            return None


def _truncation(given: Any) -> Truncation:
    match given:
        case {"type": "last_messages" | "max_tokens"}:
            kind = given["type"]
            return Truncation(kind, int(given[kind]), given.get("summarise") is True)
        case _:
            return Truncation()
