"""Files that have been taken apart once are not taken apart again while there is room."""

import asyncio
import hashlib
from collections import OrderedDict
from typing import TypeAlias

from backend.ports.files import FileReader, Kind, Reading

_MOST_BYTES = 64 * 1024 * 1024
_BYTES_OF_A_CHARACTER = 4
_BYTES_BESIDE = 512
_Key: TypeAlias = tuple[Kind, bytes]


class Remembered:
    """A reader that knows what it has read lately, by what the file holds.

    Whoever asks has the file already: nobody learns anything of another's by it.
    """

    def __init__(self, reader: FileReader, most_bytes: int = _MOST_BYTES) -> None:
        """Nothing has been read yet.

        Args:
            reader: Takes files apart.
            most_bytes: Of all that is remembered; what was asked for longest ago goes first.
        """
        self._reader = reader
        self._most = self._left = most_bytes
        self._known: OrderedDict[_Key, Reading] = OrderedDict()

    async def read(self, kind: Kind, body: bytes) -> Reading | None:
        """Return what it holds, or none for what is broken, encrypted or too large."""
        digest = await asyncio.to_thread(hashlib.sha256, body)
        key = (kind, digest.digest())
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known
        found = await self._reader.read(kind, body)
        # Who could not be read may have had too little time only.
        if found is not None and key not in self._known and _size(found) <= self._most:
            self._keep(key, found)
        return found

    def _keep(self, key: _Key, found: Reading) -> None:
        self._known[key] = found
        self._left -= _size(found)
        while self._left < 0:
            _, oldest = self._known.popitem(last=False)
            self._left += _size(oldest)


def _size(reading: Reading) -> int:
    return len(reading.body) + _BYTES_OF_A_CHARACTER * len(reading.text) + _BYTES_BESIDE
