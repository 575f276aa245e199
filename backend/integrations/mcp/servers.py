"""How a server is reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2


@dataclass(frozen=True, slots=True)
class AtAddress:
    """Over streamable HTTP."""

    url: str
    open_http: Callable[[], httpx2.AsyncClient]
    """Makes a client that asks only where it may."""
    headers: Callable[[], Mapping[str, str]] = field(default=dict, repr=False)
    """Read before each request, so that a secret may be replaced."""


@dataclass(frozen=True, slots=True)
class AsProgram:
    """A program of this machine, over its standard input and output.

    It has the rights of this process. Of the environment it is given what a shell needs, such as
    PATH and HOME, and nothing else that is not named here.
    """

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """One server, as the operator wants it."""

    name: str
    way: AtAddress | AsProgram
    timeout_s: float = 30.0
    """Of a call."""
    attempts: int = 2
    """Of tools of which the server says that nothing happens twice."""
    tools: frozenset[str] | None = None
    """By its names for them; None: all."""
