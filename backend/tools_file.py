"""The operator's file of APIs and MCP servers: TOML, or JSON where its name ends so.

Only this file holds addresses, headers and programs; rows name what stands in it. In headers, in
the query and in the environment of a program `${NAME}` is a variable of the environment and
`${file:/path}` what a file holds, which is read again before each use. Relative paths begin in the
folder of the file.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from backend.errors import SettingsInvalid

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@\\]+[^\s?#@\\]*$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,100}$")]
Filled: TypeAlias = Callable[[], Mapping[str, str]]
_SECRET = re.compile(r"\$\{(file:)?([^}]*)\}")
_FORM = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
_POSITION = re.compile(r"\(at (line \d+, column \d+|end of document)\)\Z")
_ADDRESS = "it must be an address: http:// or https:// and a host, with no user and no fragment"


class Entry(BaseModel):
    """What APIs and servers have in common."""

    model_config = _FORM

    open_to_users: bool = False
    """Assistants that users made may use it, too."""
    optional: bool = False
    """Assistants do without it while it cannot be reached, or lacks a secret; else their runs wait
    and fail, and a worker does not start."""
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    """Of one call."""
    attempts: int = Field(default=2, ge=1, le=10)
    """Of calls of which nothing happens twice."""
    headers: dict[HeaderName, str] = Field(default_factory=dict, repr=False)


class ApiEntry(Entry):
    """An HTTP API with an OpenAPI document."""

    document: str = Field(min_length=1)
    """A file, from the folder of the tools file, or an address."""
    base_url: Address | None = None
    """In place of the document's server."""
    operations: tuple[str, ...] | None = None
    """By their ids; all, where nothing is said."""
    query: dict[str, str] = Field(default_factory=dict, repr=False)
    """Added to each request, such as a key."""
    idempotency_header: HeaderName | None = None
    """The API makes a request only once where this header says the same."""


class ServerEntry(Entry):
    """An MCP server: at an address, or a program."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@\\]+[^\s#@\\]*$")] | None = (
        None
    )
    command: tuple[str, ...] = ()
    """The program and its arguments."""
    environment: dict[str, str] = Field(default_factory=dict, repr=False)
    """Of the program, beside what a shell needs."""
    folder: Path | None = None
    """In which the program is started; that of the tools file, where nothing is said."""
    tools: tuple[str, ...] | None = None
    """By the server's names for them; all, where nothing is said."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if bool(self.url) == bool(self.command):
            raise ValueError("a server has either url or command")
        if self.headers and not self.url:
            raise ValueError("a program has no headers")
        return self


class ToolsFile(BaseModel):
    """The whole file."""

    model_config = _FORM

    apis: dict[Name, ApiEntry] = Field(default_factory=dict)
    servers: dict[Name, ServerEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        if both := sorted(self.apis.keys() & self.servers.keys()):
            raise ValueError(f"{', '.join(both)}: one name is an api's and a server's; rename one")
        return self


def read_tools_file(path: Path | None) -> ToolsFile:
    """Return what the file says; nothing for no file.

    Raises:
        SettingsInvalid: It cannot be read; the message names the place in it, and no value.
    """
    if path is None:
        return ToolsFile()
    try:
        text = path.read_text("utf-8")
        given = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return ToolsFile.model_validate(given)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise SettingsInvalid(f"TOOLS_FILE: {path.absolute()} cannot be read: {why}.") from None
    except ValidationError as invalid:
        said = (f"{_place(it['loc'])}: {_mistake(it)}" for it in invalid.errors())
        raise SettingsInvalid(f"TOOLS_FILE: {'; '.join(said)}") from None
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        place = f"{path.absolute()} is no {kind}{_where(error)}"
        raise SettingsInvalid(f"TOOLS_FILE: {place}.") from None


def filled(given: Mapping[str, str], place: str, folder: Path = Path()) -> Filled:
    """Return a function that returns the values with the secrets that they name.

    Args:
        given: As the file has them.
        place: In the file.
        folder: Where relative paths begin.

    Raises:
        SettingsInvalid: A variable is not set, or a file cannot be read.
    """
    parts = {name: _parts(value, f"{place}.{name}", folder) for name, value in given.items()}
    return lambda: {name: "".join(it() for it in value) for name, value in parts.items()}


def _parts(value: str, place: str, folder: Path) -> list[Callable[[], str]]:
    found: list[Callable[[], str]] = []
    end = 0
    for secret in _SECRET.finditer(value):
        found += [_said(value[end : secret.start()]), _secret(secret, place, folder)]
        end = secret.end()
    return [*found, _said(value[end:])]


def _said(text: str) -> Callable[[], str]:
    return lambda: text


def _secret(secret: re.Match[str], place: str, folder: Path) -> Callable[[], str]:
    if secret[1]:
        return _KeptFile(folder.absolute() / secret[2], place)
    value = os.environ.get(secret[2])
    if not value:
        raise SettingsInvalid(f"TOOLS_FILE: {place}: {secret[2]} is not set.")
    return _said(value)


class _KeptFile:
    """What a file holds now; while it is away, what it held."""

    def __init__(self, path: Path, place: str) -> None:
        self._path = path
        try:
            self._held = self._read()
        except (OSError, ValueError):
            raise SettingsInvalid(f"TOOLS_FILE: {place}: {path} cannot be read.") from None

    def __call__(self) -> str:
        # It is being replaced, perhaps.
        with suppress(OSError, ValueError):
            self._held = self._read() or self._held
        return self._held

    def _read(self) -> str:
        return self._path.read_text("utf-8").strip()


def _mistake(found: Any) -> str:
    """Return what is wrong there, in the words of the file's author and without the value."""
    kind, location = found["type"], found["loc"]
    if kind == "extra_forbidden":
        forms: Mapping[Any, type[BaseModel]] = {"apis": ApiEntry, "servers": ServerEntry}
        known = (forms[location[0]] if len(location) > 1 else ToolsFile).model_fields
        return f"unknown key; known are {', '.join(sorted(known))}"
    if kind == "tuple_type":
        return 'it must be a list of strings, such as ["one", "two"]'
    if kind == "string_pattern_mismatch" and location[-1] in ("url", "base_url"):
        return _ADDRESS
    if kind == "string_pattern_mismatch" and location[2:] == ("[key]",):
        return "a name has 1 to 32 of a-z, 0-9, - and _"
    return str(found["msg"]).removeprefix("Value error, ")


def _where(error: Exception) -> str:
    """Return the place where the parser gave up, without its words: these may quote."""
    if isinstance(error, json.JSONDecodeError):
        return f": see line {error.lineno}, column {error.colno}"
    if isinstance(error, tomllib.TOMLDecodeError) and (found := _POSITION.search(str(error))):
        return f": see {found[1].replace('end of', 'the end of the')}"
    return ""


def _place(location: tuple[Any, ...]) -> str:
    return ".".join(str(it) for it in location) or "the file"
