"""Which tools an assistant may use: what its row names, and what is open to who made it."""

from collections.abc import Mapping, Sequence

import pytest
import structlog

from backend.domain.assistants import Assistant, FunctionTool, ToolServer
from backend.domain.ids import AssistantId
from backend.errors import ToolUnavailable
from backend.ports.tools import ServerTool
from backend.tools.registry import PythonTool, tool
from backend.tools.toolbox import Offered, OfferedServer, OfferedTools
from tests.tools.calling import call


@tool(open_to_users=True)
async def roll() -> int:
    """Roll."""
    return 4


@tool()
async def refund() -> int:
    """Refund."""
    return 100


class Server:
    """A server's tools, or none while it is away."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.is_away = False

    async def tools(self) -> Mapping[str, ServerTool]:
        if self.is_away:
            raise ToolUnavailable("Away.")
        return {name: _named(name) for name in self.names}


def _named(name: str) -> PythonTool:
    async def run() -> str:
        return name

    return PythonTool(run)


def assistant(
    *names: str | FunctionTool, servers: Sequence[ToolServer] = (), is_users: bool = False
) -> Assistant:
    tools = [
        FunctionTool(it, "", {}, is_only_named=True) if isinstance(it, str) else it for it in names
    ]
    return Assistant(AssistantId("a1"), "", "", tuple(tools), tuple(servers), is_users=is_users)


def toolbox(**servers: OfferedServer) -> OfferedTools:
    offered = [Offered(roll, open_to_users=True), Offered(refund)]
    return OfferedTools(offered, servers)


async def test_a_row_gets_the_functions_that_it_names_and_no_other() -> None:
    assert await toolbox().tools_of(assistant("roll")) == {"roll": roll}
    assert await toolbox().tools_of(assistant()) == {}


async def test_a_name_that_the_service_does_not_know_is_the_clients() -> None:
    assert await toolbox().tools_of(assistant("showDialog")) == {}


async def test_a_function_that_the_row_describes_itself_is_the_clients() -> None:
    own = FunctionTool("roll", "Mine.", {"type": "object"})
    assert await toolbox().tools_of(assistant(own)) == {}


async def test_an_assistant_of_a_user_gets_what_is_open_to_users_and_the_operators_gets_all() -> (
    None
):
    names = ("roll", "refund")
    assert set(await toolbox().tools_of(assistant(*names, is_users=True))) == {"roll"}
    assert set(await toolbox().tools_of(assistant(*names))) == {"roll", "refund"}


async def test_a_servers_tools_bear_its_name() -> None:
    box = toolbox(docs=OfferedServer(Server("search", "read.page")))
    found = await box.tools_of(assistant(servers=[ToolServer("docs")]))
    assert set(found) == {"docs_search", "docs_read_page"}
    assert found["docs_read_page"].definition.name == "docs_read_page"
    assert (await call(found["docs_read_page"])).output == "read.page"


async def test_a_row_may_take_some_of_a_servers_tools() -> None:
    box = toolbox(docs=OfferedServer(Server("search", "delete")))
    some = ToolServer("docs", ("search", "unheard"))
    assert set(await box.tools_of(assistant(servers=[some]))) == {"docs_search"}


async def test_the_log_says_once_which_allowed_tools_a_server_does_not_have() -> None:
    server = Server("measure")
    box = toolbox(docs=OfferedServer(server, is_optional=True))
    told = []
    for allowed in (("measure",), ("mesure", "measure"), ("mesure", "measure"), (), ("b", "a")):
        with structlog.testing.capture_logs() as lines:
            await box.tools_of(assistant(servers=[ToolServer("docs", allowed)]))
        told.append([(it["event"], it["server"], it["missing"]) for it in lines])
    event = "tool.left_out", "docs"
    assert told == [[], [(*event, ["mesure"])], [], [], [(*event, ["a", "b"])]]


async def test_while_a_server_is_away_nothing_is_said_to_be_missing() -> None:
    server = Server("measure")
    server.is_away = True
    box = toolbox(docs=OfferedServer(server, is_optional=True))
    asked = assistant(servers=[ToolServer("docs", ("measure",))])
    with structlog.testing.capture_logs() as lines:
        await box.tools_of(asked)
    assert [line["event"] for line in lines] == ["tools.unreachable"]


async def test_a_row_with_a_thousand_wrong_names_makes_a_short_line() -> None:
    box = toolbox(docs=OfferedServer(Server("measure")))
    names = tuple(f"{it:04}{'x' * 1000}" for it in range(1000))
    with structlog.testing.capture_logs() as lines:
        await box.tools_of(assistant(servers=[ToolServer("docs", names)]))
    assert len(str(lines)) < 1000


async def test_a_server_that_is_not_open_to_users_or_not_there_gives_nothing() -> None:
    box = toolbox(docs=OfferedServer(Server("search")))
    asked = [ToolServer("docs"), ToolServer("unheard")]
    assert await box.tools_of(assistant(servers=asked, is_users=True)) == {}
    box = toolbox(docs=OfferedServer(Server("search"), open_to_users=True))
    assert set(await box.tools_of(assistant(servers=asked, is_users=True))) == {"docs_search"}


async def test_names_that_no_model_can_say_and_those_taken_already_are_left_out() -> None:
    theirs = Server("a.b", "a_b", "x" * 64, "ok")
    box = toolbox(docs=OfferedServer(theirs))
    found = await box.tools_of(assistant("docs_ok", servers=[ToolServer("docs")]))
    assert set(found) == {"docs_a_b"}


async def test_a_list_that_has_not_changed_is_not_looked_at_again() -> None:
    server = Server("search")
    theirs = await server.tools()

    class Same:
        async def tools(self) -> Mapping[str, ServerTool]:
            return theirs

    box = toolbox(docs=OfferedServer(Same()))
    asked = assistant(servers=[ToolServer("docs")])
    first, second = await box.tools_of(asked), await box.tools_of(asked)
    assert first["docs_search"] is second["docs_search"]


async def test_no_server_gives_a_model_a_thousand_tools() -> None:
    box = toolbox(docs=OfferedServer(Server(*(f"t{it:04}" for it in range(1000)))))
    assert len(await box.tools_of(assistant(servers=[ToolServer("docs")]))) == 128


async def test_a_server_that_is_away_fails_the_run_unless_it_is_optional() -> None:
    away = Server("search")
    away.is_away = True
    box = toolbox(docs=OfferedServer(away))
    with pytest.raises(ToolUnavailable):
        await box.tools_of(assistant("roll", servers=[ToolServer("docs")]))
    box = toolbox(docs=OfferedServer(away, is_optional=True))
    assert set(await box.tools_of(assistant("roll", servers=[ToolServer("docs")]))) == {"roll"}


async def test_the_log_says_once_that_a_server_is_away_and_again_when_it_is_away_again() -> None:
    server = Server("search")
    box = toolbox(docs=OfferedServer(server, is_optional=True))
    told = []
    for is_away in (True, True, False, True, True):
        server.is_away = is_away
        with structlog.testing.capture_logs() as lines:
            await box.tools_of(assistant(servers=[ToolServer("docs")]))
        told.append([line["event"] for line in lines])
    away = ["tools.unreachable"]
    assert told == [away, [], [], away, []]
