"""The service's own functions, put together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import structlog

from backend.errors import SettingsInvalid
from backend.integrations.mcp.servers import AsProgram, AtAddress, Server
from backend.integrations.mcp.source import McpTools
from backend.integrations.openapi.operations import Api, name_of
from backend.integrations.openapi.source import ApiTools, server_of
from backend.integrations.web.client import GuardedHttp
from backend.integrations.web.connections import open_client
from backend.integrations.web.reach import Reach, reach_of
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.tools import ToolSource
from backend.telemetry.names import TOOL_LEFT_OUT
from backend.tool_settings import ToolSettings
from backend.tools.builtin.dice import dice
from backend.tools.builtin.maps import MAP_TOOLS
from backend.tools.builtin.search import database_search
from backend.tools.builtin.weather import WeatherService, weather
from backend.tools.modules import load_modules
from backend.tools.registry import PythonTool
from backend.tools.toolbox import NoSource, Offered, OfferedServer, OfferedTools
from backend.tools_file import (
    ApiEntry,
    Entry,
    Filled,
    ServerEntry,
    filled,
    read_tools_file,
)

_log = structlog.get_logger()
_MAX_MCP_BYTES = 4_000_000
_MCP_SILENCE_S = 300.0


@asynccontextmanager
async def open_toolbox(
    settings: ToolSettings, gateway: Gateway, clock: Clock
) -> AsyncIterator[OfferedTools]:
    """Yield all tools; nothing is asked yet, and all connections are closed afterwards.

    Raises:
        SettingsInvalid: The tools file, a document in a file or a module is wrong.
    """
    async with AsyncExitStack() as stack:
        parts = _Parts(settings, clock, stack)
        file = read_tools_file(settings.tools_file)
        apis = {name: await parts.api(name, entry) for name, entry in file.apis.items()}
        made = (
            dice(clock),
            *MAP_TOOLS,
            database_search(gateway),
            await parts.weather(),
            *load_modules(settings.tools_modules),
        )
        yield OfferedTools(
            (Offered(tool, open_to_users=tool.open_to_users) for tool in made),
            servers={name: parts.server(name, entry) for name, entry in file.servers.items()},
            apis=apis,
        )


def open_fetcher() -> GuardedHttp:
    """Return what fetches files of the public internet for users, and nothing of our network."""
    return GuardedHttp(reach_of(None))


@dataclass(frozen=True, slots=True)
class _Parts:
    """Makes tools that ask others."""

    settings: ToolSettings
    clock: Clock
    stack: AsyncExitStack

    async def weather(self) -> PythonTool:
        told = self.settings
        key = told.weather_api_key.get_secret_value() if told.weather_api_key else None
        service = WeatherService(told.weather_url, told.weather_places_url, key)
        return weather(service, await self._http(told.weather_url, told.weather_places_url))

    async def api(self, name: str, entry: ApiEntry) -> OfferedServer:
        wanted = {name_of(it) for it in entry.operations or ()}
        try:
            headers = self._filled(entry.headers, f"apis.{name}.headers")
            query = self._filled(entry.query, f"apis.{name}.query")
        except SettingsInvalid as missing:
            return _left_out(name, entry, missing)
        document = self._document(entry.document)
        base_url = entry.base_url
        if base_url is None and isinstance(document, Path):
            base_url = server_of(name, document)
        asked = [it for it in (base_url, document) if isinstance(it, str)]
        api = Api(
            name,
            await self._http(*asked),
            timeout_s=entry.timeout_s,
            attempts=entry.attempts,
            headers=headers,
            query=query,
            idempotency_header=entry.idempotency_header,
            operations=None if entry.operations is None else frozenset(entry.operations),
            base_url=base_url,
        )
        tools = ApiTools(api, document, self.clock)
        return _offered(tools, entry, wanted, tools.check)

    def server(self, name: str, entry: ServerEntry) -> OfferedServer:
        kind, given = (
            ("headers", entry.headers) if entry.url else ("environment", entry.environment)
        )
        try:
            secrets = self._filled(given, f"servers.{name}.{kind}")
        except SettingsInvalid as missing:
            return _left_out(name, entry, missing)
        way = self._way(entry, secrets)
        tools = None if entry.tools is None else frozenset(entry.tools)
        source = McpTools(Server(name, way, entry.timeout_s, entry.attempts, tools), self.clock)
        self.stack.push_async_callback(source.close)
        check = partial(self._check, entry.url) if entry.url else None
        return _offered(source, entry, tools or (), check)

    def _way(self, entry: ServerEntry, secrets: Filled) -> AtAddress | AsProgram:
        if entry.url is None:
            folder = self._folder / (entry.folder or "")
            return AsProgram(entry.command[0], entry.command[1:], secrets(), folder)
        reach = self._reach(entry.url)
        return AtAddress(entry.url, lambda: _open_mcp_client(reach), secrets)

    async def _check(self, url: str) -> None:
        async with GuardedHttp(self._reach(url)) as http:
            await http.check(url)

    def _document(self, text: str) -> Path | str:
        if text.startswith(("https://", "http://")):
            return text
        return self._folder / text

    @property
    def _folder(self) -> Path:
        """That of the tools file, in which its relative paths begin."""
        return (self.settings.tools_file or Path()).absolute().parent

    def _filled(self, given: Mapping[str, str], place: str) -> Filled:
        return filled(given, place, self._folder)

    async def _http(self, *urls: str) -> GuardedHttp:
        return await self.stack.enter_async_context(GuardedHttp(self._reach(*urls)))

    def _reach(self, *urls: str) -> Reach:
        try:
            private = reach_of((), self.settings.tools_private_hosts).private_hosts
        except ValueError as wrong:
            raise SettingsInvalid(f"TOOLS_PRIVATE_HOSTS: {wrong}.") from None
        try:
            hosts = reach_of(entry for url in urls for entry in _entries(url)).hosts
        except ValueError as wrong:
            raise SettingsInvalid(f"An address of a tool: {wrong}.") from None
        return Reach(hosts, private)


def _entries(url: str) -> set[str]:
    """Return the host with its port, and with the one that a redirect to TLS leads to."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {f"{host}:{port}", f"{host}:443"}


def _open_mcp_client(reach: Reach) -> httpx2.AsyncClient:
    return open_client(reach, silence_s=_MCP_SILENCE_S, max_bytes=_MAX_MCP_BYTES)


def _left_out(name: str, entry: Entry, missing: SettingsInvalid) -> OfferedServer:
    if not entry.optional:
        raise missing
    _log.warning(TOOL_LEFT_OUT, server=name, why=str(missing))
    return _offered(NoSource(str(missing)), entry)


def _offered(
    source: ToolSource,
    entry: Entry,
    wanted: Iterable[str] = (),
    check: Callable[[], Awaitable[None]] | None = None,
) -> OfferedServer:
    return OfferedServer(source, entry.open_to_users, entry.optional, frozenset(wanted), check)
