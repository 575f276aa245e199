"""Which of all tools an assistant may use."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog

from backend.domain.assistants import Assistant, ToolServer
from backend.errors import ToolRefused, ToolUnavailable
from backend.ports.tools import ServerTool, ToolSource
from backend.telemetry.names import TOOL_LEFT_OUT, TOOLS_UNREACHABLE
from backend.tools.foreign import ForeignTool, foreign_tools

_log = structlog.get_logger()
_MOST_OF_A_SERVER = 128
_MISSING = "TOOLS_FILE names it, and there is no such one that models can use"
_NOT_THERE = "the row's allowed_tools name it, and there is no such one that models can use"
# What a row says may be long, and rows are many; after so many it begins anew, and tells some twice.
_MOST_NAMES = 10
_MOST_OF_A_NAME = 64
_MOST_TOLD = 10_000


@dataclass(frozen=True, slots=True)
class Offered:
    """A function that rows may name."""

    tool: ServerTool
    open_to_users: bool = False
    """Assistants that users made may use it, too."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """It is not known what a server has."""

    why: str


@dataclass(frozen=True, slots=True)
class OfferedServer:
    """A server that rows may name."""

    source: ToolSource
    open_to_users: bool = False
    is_optional: bool = False
    """An assistant does without it while it cannot be reached."""
    wanted: frozenset[str] = frozenset()
    """What the operator says that it has, by its own names."""
    check: Callable[[], Awaitable[None]] | None = None
    """Returns if it may be asked, else raises ToolRefused or ToolUnavailable."""


class NoSource:
    """A ToolSource in place of one that cannot be made here."""

    def __init__(self, why: str) -> None:
        """Ready; `why` is told to whoever asks."""
        self._why = why

    async def tools(self) -> Mapping[str, ServerTool]:
        """Return none.

        Raises:
            ToolUnavailable: Always.
        """
        raise ToolUnavailable(self._why)


class OfferedTools:
    """The operator's tools; a row says which of them it uses."""

    def __init__(
        self,
        functions: Iterable[Offered],
        servers: Mapping[str, OfferedServer] | None = None,
        apis: Mapping[str, OfferedServer] | None = None,
    ) -> None:
        """Ready.

        Args:
            functions: Of two of one name the later one counts.
            servers: By the operator's name for each; a row names a server.
            apis: By the operator's name for each; a row names its functions one by one, as
                `<api>_<operation>`.
        """
        self._functions = {it.tool.definition.name: it for it in functions}
        self._servers = servers or {}
        self._apis = apis or {}
        self._known: dict[str, tuple[Mapping[str, ServerTool], Mapping[str, ForeignTool]]] = {}
        self._away: set[str] = set()
        self._told: set[tuple[str, ...]] = set()

    async def tools_of(self, assistant: Assistant) -> Mapping[str, ServerTool]:
        """Return them by the name that the model calls them by.

        Raises:
            ToolUnavailable: A server that is not optional does not say what it has.
        """
        found: dict[str, ServerTool] = {}
        for named in assistant.tools:
            if named.is_only_named and (tool := await self._named(assistant, named.name)):
                found[named.name] = tool
        taken = {named.name for named in assistant.tools}
        for wanted in assistant.servers:
            for name, tool in (await self._of_server(assistant, wanted)).items():
                if name not in taken:
                    found.setdefault(name, tool)
        return found

    async def everything(self) -> Mapping[str, Offered | Unavailable]:
        """Return all that rows may name and what servers have, or why that is not known."""
        found: dict[str, Offered | Unavailable] = dict(self._functions)
        for owner, server in {**self._servers, **self._apis}.items():
            try:
                if server.check:
                    await server.check()
            except (ToolUnavailable, ToolRefused) as refused:
                found[owner] = Unavailable(str(refused))
            try:
                theirs = self._foreign(owner, server, await server.source.tools())
            except ToolUnavailable as away:
                found.setdefault(owner, Unavailable(str(away)))
                continue
            for name in _missing(server.wanted, theirs):
                found[f"{owner}_{name}"] = Unavailable(_MISSING)
            found |= {name: Offered(tool, server.open_to_users) for name, tool in theirs.items()}
        return found

    async def _named(self, assistant: Assistant, name: str) -> ServerTool | None:
        if offered := self._functions.get(name):
            return offered.tool if _may(assistant, offered) else None
        for owner, api in self._apis.items():
            if name.startswith(f"{owner}_") and _may(assistant, api):
                tool = (await self._theirs(owner, api)).get(name)
                if tool is not None:
                    return tool
        return None

    async def _of_server(
        self, assistant: Assistant, wanted: ToolServer
    ) -> Mapping[str, ServerTool]:
        server = self._servers.get(wanted.name)
        if server is None or not _may(assistant, server):
            _log.warning(TOOL_LEFT_OUT, server=wanted.name, assistant_id=assistant.id)
            return {}
        theirs, allowed = await self._theirs(wanted.name, server), wanted.allowed_tools
        if allowed is not None and wanted.name not in self._away:
            self._tell_missing(assistant, wanted.name, _missing(allowed, theirs))
        kept = (it for it in theirs.items() if allowed is None or it[1].own_name in allowed)
        return dict(islice(kept, _MOST_OF_A_SERVER))

    async def _theirs(self, owner: str, server: OfferedServer) -> Mapping[str, ForeignTool]:
        try:
            theirs = await server.source.tools()
        except ToolUnavailable:
            # Every run asks again: one line until it is back.
            if owner not in self._away:
                _log.warning(TOOLS_UNREACHABLE, server=owner)
            self._away.add(owner)
            if server.is_optional:
                return {}
            raise
        self._away.discard(owner)
        return self._foreign(owner, server, theirs)

    def _foreign(
        self, owner: str, server: OfferedServer, theirs: Mapping[str, ServerTool]
    ) -> Mapping[str, ForeignTool]:
        # A source returns the very same list for as long as nothing has changed.
        known = self._known.get(owner)
        if known is None or known[0] is not theirs:
            known = self._known[owner] = (theirs, foreign_tools(owner, theirs))
            if missing := _missing(server.wanted, known[1]):
                _log.warning(TOOL_LEFT_OUT, server=owner, missing=missing, why=_MISSING)
        return known[1]

    def _tell_missing(self, assistant: Assistant, server: str, missing: Sequence[str]) -> None:
        named = [name[:_MOST_OF_A_NAME] for name in missing[:_MOST_NAMES]]
        told = (assistant.id, server, *named)
        if not named or told in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(told)
        of_whom = {"server": server, "assistant_id": assistant.id}
        _log.warning(TOOL_LEFT_OUT, **of_whom, missing=named, why=_NOT_THERE)


def _missing(wanted: Iterable[str], theirs: Mapping[str, ForeignTool]) -> Sequence[str]:
    return sorted({*wanted} - {tool.own_name for tool in theirs.values()})


def _may(assistant: Assistant, offered: Offered | OfferedServer) -> bool:
    return offered.open_to_users or not assistant.is_users
