"""What was made once and may be given again, shared by all processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from backend.domain.json_values import Json

CacheName: TypeAlias = Literal["responses", "embeddings", "results"]
Key: TypeAlias = str
"""A SHA-256 in hexadecimal digits, of all that the value depends on and whoever it is for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value to keep."""

    key: Key
    value: Json
    ttl_s: float | None = None
    """None: as long as the cache allows."""
    owner: str | None = None
    """For whom, to forget them: `user:…`, `organisation:…` or `assistant:…`."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Somebody has made it."""

    value: Json


Turn: TypeAlias = Hit | Literal["lead", "wait"]
"""The value; or make it now; or somebody else does, come back."""


class Caches(Protocol):
    """Keeps values by key; a database that is away finds nothing and keeps nothing."""

    async def find(self, cache: CacheName, keys: Sequence[Key]) -> Mapping[Key, Json]:
        """Return those that are there."""
        ...

    async def keep(self, cache: CacheName, entries: Sequence[Entry]) -> None:
        """The values are there from now on, unless they are too large."""
        ...

    async def lead(self, cache: CacheName, key: Key, holder: str, lease_s: float) -> Turn:
        """Return whose turn it is to make the value; a leader has it for so many seconds."""
        ...

    async def release(self, cache: CacheName, key: Key, holder: str) -> None:
        """Whoever comes next leads: this holder has nothing to give."""
        ...
