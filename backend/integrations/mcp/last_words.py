"""What a program writes to standard error: only its last line, and only where it does not start."""

import asyncio
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

_KEPT_BYTES = 8192
_MOST_PIECES = 8
_MOST_CHARACTERS = 300
_LEAST_OF_SECRET = 4
_WORD = re.compile(r"[^\s/?#@:=&,;'\"]{6,}")


class LastWords:
    """A pipe that is read at once, so that nobody waits; all but its end is forgotten."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Nothing is open yet.

        Args:
            secrets: What is never told: each of them, and what they are made of.
        """
        parts = {word for it in secrets for word in [it, *_WORD.findall(it)]}
        self._secrets = sorted((it for it in parts if len(it) >= _LEAST_OF_SECRET), key=len)
        self._held = bytearray()
        self._is_whole = True

    def __enter__(self) -> Self:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        self.file: TextIO = os.fdopen(writing, "w", encoding="utf-8")
        asyncio.get_running_loop().add_reader(self._reading, self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._reading)
        # What it wrote before it ended may not have been read yet.
        self._read()
        os.close(self._reading)
        self.file.close()

    @property
    def line(self) -> str:
        """The last line that says something, printable and without a secret; empty for none."""
        lines = self._held.decode("utf-8", "replace").split("\n")
        # The first one may begin in its midst, which may be in the midst of a secret.
        whole = lines if self._is_whole else lines[1:]
        said = next((it.strip() for it in reversed(whole) if it.strip()), "")
        for secret in reversed(self._secrets):
            said = said.replace(secret, "***")
        return "".join(it if it.isprintable() else "?" for it in said[:_MOST_CHARACTERS])

    def _read(self) -> None:
        # We could write ourselves, so that there is no end of the file.
        with suppress(BlockingIOError):
            for _ in range(_MOST_PIECES):
                self._held += os.read(self._reading, _KEPT_BYTES)
                if len(self._held) > _KEPT_BYTES:
                    self._is_whole = False
                    del self._held[:-_KEPT_BYTES]
