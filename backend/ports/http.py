"""HTTP to addresses that a row, a model or an operator's document has named: guarded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    max_bytes: int = 1_000_000
    """Of the answer, unpacked; a longer one is refused."""
    timeout_s: float = 30.0
    """For all of it, redirects and the last byte of the answer included."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back, whatever its status."""

    status: int
    content_type: str
    """Without its parameters, in lower case; empty where none is said."""
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By names in lower case."""


class HttpClient(Protocol):
    """Sends requests to hosts that it may reach, and to no others."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Return the answer.

        Raises:
            ToolRefused: The address is none that may be asked, or the answer is too long.
            ToolUnavailable: No answer, or not in time.
        """
        ...

    async def check(self, url: str) -> None:
        """Return quietly if the host of the URL may be connected to; it is not asked.

        Raises:
            ToolRefused: It may not; the message says what the operator can do about it.
            ToolUnavailable: It has no address now.
        """
        ...
