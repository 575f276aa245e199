"""Which of a provider's keys is used next.

Where keys come from is behind `Keys`; that they take turns, and that one which was refused is left
aside for a while, is the same for all of them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog

from backend.errors import SettingsInvalid
from backend.ports.clock import Clock

KEYS_UNREADABLE = "keys.unreadable"
NO_KEY = ""
"""For a server that asks for none."""
_log = structlog.get_logger()
_BETWEEN = re.compile(r"[\s,]+")
_KEY = re.compile(r"[!-~]+")
_LARGEST_FILE_BYTES = 65_536


class Keys(Protocol):
    """Knows a provider's keys."""

    async def current(self) -> Sequence[str]:
        """Return all that may be used now, one at least; asked before each call."""
        ...


class FixedKeys:
    """Keys that stay the same for as long as the process lives."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)

    async def current(self) -> Sequence[str]:
        """Return them."""
        return self._keys


class FileKeys:
    """Keys in a file, which may be replaced at any time, as secrets of containers are."""

    def __init__(self, path: Path, variable: str) -> None:
        """Read for the first time.

        Args:
            path: Of the file.
            variable: That names it, for errors.

        Raises:
            SettingsInvalid: It cannot be read, or holds no key.
        """
        self._path = path
        self._variable = variable
        self._is_readable = True
        try:
            self._keys = self._read()
        except OSError as error:
            what = type(error).__name__
            raise SettingsInvalid(f"{variable}: {path} cannot be read: {what}.") from None

    async def current(self) -> Sequence[str]:
        """Return what the file says now, else what it last said."""
        # Of a few bytes in memory: cheaper than to find out whether it has changed, and surer.
        try:
            self._keys = self._read()
        except (OSError, SettingsInvalid) as error:
            if self._is_readable:
                _log.error(KEYS_UNREADABLE, variable=self._variable, raised=type(error).__name__)
            self._is_readable = False
        else:
            self._is_readable = True
        return self._keys

    def _read(self) -> tuple[str, ...]:
        with self._path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES)
        return split_keys(content.decode("utf-8", "replace"), self._variable)


class KeysOf:
    """Those of one server, where each key stands behind a server's name and `=`."""

    def __init__(self, server: str, keys: Keys) -> None:
        self._prefix = f"{server}="
        self._keys = keys

    async def current(self) -> Sequence[str]:
        """Return them, without the name; a server that is not named asks for none."""
        keys = await self._keys.current()
        own = [key.removeprefix(self._prefix) for key in keys if key.startswith(self._prefix)]
        return own or [NO_KEY]


class KeyRing:
    """Deals a provider's keys in turn."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._turn = 0
        self._aside_until: dict[str, float] = {}
        self._numbers: dict[str, int] = {}

    async def deal(self) -> Sequence[str]:
        """Return the keys to try for one call, in this order; never none.

        Those that are left aside are no part of it, unless all are: then the one that is back first
        is tried, so that a provider which has come to its senses is noticed.
        """
        keys = await self._keys.current()
        self._numbers = {key: number for number, key in enumerate(keys, start=1)}
        start = self._turn % len(keys)
        self._turn += 1
        now = self._clock.monotonic()
        self._aside_until = {
            key: until for key, until in self._aside_until.items() if until > now and key in keys
        }
        usable = [key for key in (*keys[start:], *keys[:start]) if key not in self._aside_until]
        return usable or [min(keys, key=self._aside_until.__getitem__)]

    async def every(self) -> Sequence[str]:
        """Return all keys, also those that are left aside; never none."""
        return await self._keys.current()

    def leave_aside(self, key: str, seconds: float) -> int:
        """Return which key it is, from 1 and 0 for one that is gone; it rests for so long now."""
        self._aside_until[key] = self._clock.monotonic() + seconds
        return self._numbers.get(key, 0)


def split_keys(text: str, variable: str) -> tuple[str, ...]:
    """Return the keys of a text, which stand apart by commas, spaces or lines.

    Raises:
        SettingsInvalid: There is none, or one that no header can carry.
    """
    keys = tuple(dict.fromkeys(key for key in _BETWEEN.split(text) if key))
    if not keys:
        raise SettingsInvalid(f"{variable}: there is no key in it.")
    if not all(_KEY.fullmatch(key) for key in keys):
        raise SettingsInvalid(f"{variable}: a key holds characters that no header can carry.")
    return keys
