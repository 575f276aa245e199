"""What lies at an address that a user or a model has named."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered."""

    content_type: str
    """As the server calls it, or empty: a claim, no more."""
    body: bytes = field(repr=False)


class Fetcher(Protocol):
    """Fetches what anybody on the internet may have, and nothing of the service's own network."""

    async def get(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Return what lies there now.

        Args:
            url: Hostile.
            max_bytes: Of the body, as it is without compression.
            timeout_s: For all of it, redirects included.

        Raises:
            ToolRefused: The address may not be asked, answers with an error, or with too much.
            ToolUnavailable: Nobody answers, or not in time.
        """
        ...
