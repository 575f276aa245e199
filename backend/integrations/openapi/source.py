"""All operations of an API, read from a file or an address."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import structlog

from backend.errors import SettingsInvalid, ToolRefused, ToolUnavailable
from backend.integrations.openapi.document import (
    MAX_BYTES,
    Document,
    DocumentInvalid,
    OperationUnusable,
)
from backend.integrations.openapi.operations import Api, Operation
from backend.ports.clock import Clock
from backend.ports.http import HttpAnswer, HttpRequest
from backend.ports.tools import ServerTool

_log = structlog.get_logger()
_LEFT_OUT = "tool.left_out"
_FETCH_S = 20.0
_RETRY_S = 10.0
_OK = 200


class ApiTools:
    """A ToolSource of an API; a document at an address is fetched when it is first needed."""

    def __init__(self, api: Api, document: Path | str, clock: Clock) -> None:
        """Ready; a document in a file has been read.

        Args:
            api: How its operations are called.
            document: A file, or an address that the API's client may ask.
            clock: Keeps a failed fetch from being repeated at once.

        Raises:
            SettingsInvalid: The file cannot be read, or is no such document.
        """
        self._api = api
        self._document = document
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._failed_at: float | None = None
        self._told = ""
        self._tools: Mapping[str, Operation] | None = None
        if isinstance(document, Path):
            self._tools = _from_file(api, document)

    async def tools(self) -> Mapping[str, ServerTool]:
        """Return the operations by their ids.

        Raises:
            ToolUnavailable: The document cannot be had now, or is none.
        """
        return await self._operations()

    async def check(self) -> None:
        """Return quietly if the hosts of the operations may be connected to.

        Raises:
            ToolRefused: One may not; the message says what the operator can do about it.
            ToolUnavailable: One has no address, or the document cannot be had.
        """
        for address in {it.address for it in (await self._operations()).values()}:
            await self._api.http.check(address)

    async def _operations(self) -> Mapping[str, Operation]:
        async with self._fetching:
            if self._tools is None:
                self._tools = await self._fetched()
        return self._tools

    async def _fetched(self) -> Mapping[str, Operation]:
        now = self._clock.monotonic()
        if self._failed_at is not None and now - self._failed_at < _RETRY_S:
            raise ToolUnavailable("The description of the API could not be had just now.")
        address = str(self._document)
        asked = HttpRequest(
            "GET", address, self._api.headers(), max_bytes=MAX_BYTES, timeout_s=_FETCH_S
        )
        try:
            answer = await self._api.http.send(asked)
            # Thousands of schemas take their time, in which others want to be answered.
            return await asyncio.to_thread(_from_answer, self._api, answer, address)
        except (ToolUnavailable, ToolRefused, DocumentInvalid) as error:
            self._failed_at = now
            if self._told != str(error):
                # Every run asks again: one line for as long as nothing else is wrong.
                self._told = str(error)
                _log.warning(_LEFT_OUT, api=self._api.name, why=str(error))
            raise ToolUnavailable("The description of the API cannot be had.") from None


def server_of(name: str, file: Path) -> str:
    """Return the address of the server that a document in a file names.

    Raises:
        SettingsInvalid: It cannot be read, or names none.
    """
    try:
        return _server(_read(file), "")
    except DocumentInvalid as error:
        raise SettingsInvalid(f"TOOLS_FILE: the document of {name}: {error}.") from None


def _from_answer(api: Api, answer: HttpAnswer, address: str) -> Mapping[str, Operation]:
    if answer.status != _OK:
        raise ToolUnavailable(f"It answers with status {answer.status}.")
    return read_tools(api, Document(answer.body), address)


def _from_file(api: Api, file: Path) -> Mapping[str, Operation]:
    try:
        return read_tools(api, _read(file), "")
    except DocumentInvalid as error:
        raise SettingsInvalid(f"TOOLS_FILE: the document of {api.name}: {error}.") from None


def _read(file: Path) -> Document:
    try:
        return Document(file.read_bytes())
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise DocumentInvalid(f"{file} cannot be read: {why}") from None


def read_tools(api: Api, document: Document, address: str) -> Mapping[str, Operation]:
    """Return the operations that can be used, by their ids; the others are logged by their reasons.

    Raises:
        DocumentInvalid: It names no server that may be asked.
    """
    base_url = api.base_url or _server(document, address)
    if set(base_url) & set("?#@\\ "):
        raise DocumentInvalid("the address of its server is more than host and path")
    found: dict[str, Operation] = {}
    left: dict[str, int] = {}
    for described in document.operations():
        if isinstance(described, OperationUnusable):
            left[str(described)] = left.get(str(described), 0) + 1
        elif api.operations is None or described.id in api.operations:
            try:
                made = Operation(api, base_url, described, document)
                found.setdefault(made.definition.name, made)
            except OperationUnusable as unusable:
                left[str(unusable)] = left.get(str(unusable), 0) + 1
    for why, count in left.items():
        _log.warning(_LEFT_OUT, api=api.name, why=why, count=count)
    return found


def _server(document: Document, address: str) -> str:
    server = urljoin(address, document.server() or "/") if address else document.server()
    if not server.startswith(("https://", "http://")):
        raise DocumentInvalid("it names no server: set base_url")
    if address and urlsplit(server)[:2] != urlsplit(address)[:2]:
        # Whoever answers at that address would choose who is given the operator's headers.
        raise DocumentInvalid("it names another host than the one that it lies on: set base_url")
    return server
