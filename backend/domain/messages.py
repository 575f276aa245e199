"""Messages: what was said, as typed parts, and their JSON form in `messages.content`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from backend.domain.ids import CallId
from backend.domain.json_values import Json, JsonObject

Role: TypeAlias = Literal["user", "assistant", "tool"]
"""`tool` exists only in what a model is given; a row is the user's or the assistant's."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the user or the assistant."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the model thought aloud; never given to another provider as if it were said."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A stored file or a public URL, one of the two."""

    file_id: str | None = None
    url: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A stored file that belongs to the message."""

    file_id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement comes from."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool's work."""

    call_id: CallId
    name: str
    arguments: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of the call of the same id."""

    call_id: CallId
    output: Json
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as a model is shown it; never in a row."""

    body: bytes = field(repr=False)
    media_type: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A file as a model is given it; never in a row."""

    name: str
    text: str = field(repr=False)
    pdf: bytes = field(default=b"", repr=False)
    """The file itself, for models that read it better than its text; empty for others."""
    pages: int = 0
    is_cut: bool = False
    """The text goes on."""


@dataclass(frozen=True, slots=True)
class Note:
    """What the service tells the model within a turn; never in a row."""

    text: str


Part: TypeAlias = (
    Text | Reasoning | Image | File | Citation | ToolCall | ToolResult | Picture | Document | Note
)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    parts: tuple[Part, ...]
    kept: JsonObject | None = field(default=None, repr=False, compare=False)
    """What the provider that said this wants to see again, and no other may."""

    @property
    def text(self) -> str:
        """All its words, one part to a line."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


def parts_from_json(content: Iterable[JsonObject]) -> tuple[Part, ...]:
    """Return the parts that this version knows; a newer writer's kinds are left out."""
    return tuple(part for item in content if (part := _part_from_json(item)) is not None)


def text_content(text: str) -> Sequence[JsonObject]:
    """Return the content of a message that says this and nothing else; empty for no text."""
    return [{"type": "text", "text": text}] if text else []


def _part_from_json(item: Any) -> Part | None:
    try:
        return _READERS[item["type"]](item)
    except (KeyError, TypeError):
        return None


_READERS: Mapping[str, Callable[[Any], Part]] = {
    "text": lambda item: Text(item["text"]),
    "reasoning": lambda item: Reasoning(item["text"]),
    "citation": lambda item: Citation(item["text"]),
    "image": lambda item: Image(item.get("file_id"), item.get("url"), item.get("detail")),
    "file": lambda item: File(item["file_id"], item.get("name")),
    "tool_call": lambda item: ToolCall(item["call_id"], item["name"], item.get("arguments") or {}),
    "tool_result": lambda item: ToolResult(
        item["call_id"], item["output"], bool(item.get("is_error"))
    ),
}
