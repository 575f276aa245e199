"""Caches whose database a test plays: who else leads, and what they made."""

from collections.abc import Mapping, Sequence

from backend.domain.json_values import Json
from backend.ports.caches import CacheName, Entry, Hit, Key, Turn


class MemoryCaches:
    """Keeps values in memory; other processes are what the test says they are."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.led_elsewhere: set[Key] = set()
        self.asked = 0
        self.released = 0

    async def find(self, cache: CacheName, keys: Sequence[Key]) -> Mapping[Key, Json]:
        del cache
        self.asked += 1
        return {key: self.entries[key].value for key in keys if key in self.entries}

    async def keep(self, cache: CacheName, entries: Sequence[Entry]) -> None:
        del cache
        self.entries |= {entry.key: entry for entry in entries}

    async def lead(self, cache: CacheName, key: Key, holder: str, lease_s: float) -> Turn:
        del cache, holder, lease_s
        self.asked += 1
        if key in self.entries:
            return Hit(self.entries[key].value)
        return "wait" if key in self.led_elsewhere else "lead"

    async def release(self, cache: CacheName, key: Key, holder: str) -> None:
        del cache, key, holder
        self.released += 1
