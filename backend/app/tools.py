"""The service's own functions, put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from backend.errors import SettingsInvalid
from backend.integrations.mcp.servers import AsProgram, AtAddress, Server
from backend.integrations.mcp.source import McpTools
from backend.integrations.openapi.operations import Api
from backend.integrations.openapi.source import ApiTools, server_of
from backend.integrations.web.client import GuardedHttp
from backend.integrations.web.connections import open_client
from backend.integrations.web.reach import Reach, reach_of
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.tools import ToolSource
from backend.tool_settings import ToolSettings
from backend.tools.builtin.dice import dice
from backend.tools.builtin.maps import MAP_TOOLS
from backend.tools.builtin.search import database_search
from backend.tools.builtin.weather import WeatherService, weather
from backend.tools.modules import load_modules
from backend.tools.registry import PythonTool
from backend.tools.toolbox import Offered, OfferedServer, OfferedTools
from backend.tools_file import ApiEntry, Entry, ServerEntry, filled, read_tools_file

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
            apis={name: await parts.api(name, entry) for name, entry in file.apis.items()},
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
            headers=filled(entry.headers, f"apis.{name}.headers"),
            query=filled(entry.query, f"apis.{name}.query"),
            idempotency_header=entry.idempotency_header,
            operations=None if entry.operations is None else frozenset(entry.operations),
            base_url=base_url,
        )
        return _offered(ApiTools(api, document, self.clock), entry)

    def server(self, name: str, entry: ServerEntry) -> OfferedServer:
        tools = None if entry.tools is None else frozenset(entry.tools)
        server = Server(name, self._way(name, entry), entry.timeout_s, entry.attempts, tools)
        source = McpTools(server, self.clock)
        self.stack.push_async_callback(source.close)
        return _offered(source, entry)

    def _way(self, name: str, entry: ServerEntry) -> AtAddress | AsProgram:
        if entry.url is None:
            environment = filled(entry.environment, f"servers.{name}.environment")()
            return AsProgram(entry.command[0], entry.command[1:], environment, entry.folder)
        reach = self._reach(entry.url)
        headers = filled(entry.headers, f"servers.{name}.headers")
        return AtAddress(entry.url, lambda: _open_mcp_client(reach), headers)

    def _document(self, text: str) -> Path | str:
        if text.startswith(("https://", "http://")):
            return text
        return (self.settings.tools_file or Path()).parent / text

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


def _offered(source: ToolSource, entry: Entry) -> OfferedServer:
    return OfferedServer(source, entry.open_to_users, entry.optional)
