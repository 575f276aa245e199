"""Tools of MCP servers: real ones by the protocol's own SDK, and some that mean no good."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
import uvicorn

from backend.errors import ToolUnavailable
from backend.integrations.mcp.servers import AsProgram, AtAddress, Server
from backend.integrations.mcp.source import McpTools, is_small
from backend.integrations.web.connections import open_client
from backend.integrations.web.reach import reach_of
from backend.ports.clock import SystemClock
from backend.ports.tools import ServerTool
from backend.tools.foreign import foreign_tools
from backend.tools.invocation import ToolOutcome
from tests.support.manual_clock import ManualClock
from tests.tools.calling import call
from tests.tools.mcp_program import make
from tests.tools.web_server import Asked, WebServer, response

ROOT = Path(__file__).parents[2]
PROGRAM = AsProgram(sys.executable, ("-m", "tests.tools.mcp_program"), {"GIVEN": "1"}, ROOT)


def at(url: str, **headers: str) -> AtAddress:
    entry = url.split("/")[2]
    reach = reach_of([entry], [entry])
    return AtAddress(url, lambda: open_client(reach, max_bytes=1_000_000), lambda: headers)


@asynccontextmanager
async def tools_of(way: AtAddress | AsProgram, **more: Any) -> AsyncIterator[McpTools]:
    made = McpTools(Server("mountains", way, **more), SystemClock())
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Yield the address of the SDK's server."""
    application = make().streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="critical", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - the library has no event for it
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        await serving


@pytest_asyncio.fixture(params=["a program", "at an address"])
async def mountains(request: pytest.FixtureRequest) -> AsyncIterator[McpTools]:
    """Yield the tools of the SDK's server, reached in both ways."""
    if request.param == "a program":
        async with tools_of(PROGRAM) as made:
            yield made
    else:
        async with served() as url, tools_of(at(url)) as made:
            yield made


async def ask(tool: ServerTool, **arguments: Any) -> ToolOutcome:
    return await call(tool, SystemClock(), **arguments)


async def test_a_server_says_which_tools_it_has(mountains: McpTools) -> None:
    found = await mountains.tools()
    assert {"measure", "describe", "show", "climb", "secrets"} <= set(found)
    definition = found["measure"].definition
    assert definition.description == "Measure a mountain."
    assert definition.parameters["required"] == ["name"]
    assert found["measure"].traits.is_repeatable
    assert found["measure"].traits.attempts == 2
    assert not found["describe"].traits.is_repeatable
    assert await mountains.tools() is found


async def test_a_tool_is_called_and_its_result_told(mountains: McpTools) -> None:
    found = await mountains.tools()
    measured = await ask(found["measure"], name="Brocken")
    assert measured.output == {"name": "Brocken", "height": 1141, "unit": "m"}
    described = await ask(found["describe"], name="Brocken")
    assert described.output == "Brocken is a mountain. \ufffd"
    shown = await ask(found["show"], name="Brocken")
    assert shown.output == ["Brocken", {"type": "image", "mime_type": "image/gif"}]


async def test_what_a_tool_fails_with_is_told_to_the_model(mountains: McpTools) -> None:
    outcome: Any = await ask((await mountains.tools())["climb"], name="Brocken")
    assert outcome.output["error"] == "tool_refused"
    assert "Brocken is closed" in outcome.output["message"]


async def test_calls_run_side_by_side_in_one_session(mountains: McpTools) -> None:
    measure = (await mountains.tools())["measure"]
    outcomes: Any = await asyncio.gather(*(ask(measure, name=str(it)) for it in range(20)))
    assert [it.output["name"] for it in outcomes] == [str(it) for it in range(20)]


async def test_a_call_that_is_cancelled_leaves_the_session_whole(mountains: McpTools) -> None:
    measure = (await mountains.tools())["measure"]
    calling = asyncio.create_task(ask(measure, name="a"))
    await asyncio.sleep(0)
    calling.cancel()
    with suppress(asyncio.CancelledError):
        await calling
    assert not (await ask(measure, name="b")).is_error


async def test_a_program_sees_nothing_of_the_environment_that_is_not_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    async with tools_of(PROGRAM) as made:
        outcome: Any = await ask((await made.tools())["secrets"])
    seen = set(str(outcome.output).replace("'}", "").split())
    assert not {name for name in seen if "DATABASE_URL" in name}
    assert any("GIVEN" in name for name in seen)
    assert "nobody's business" not in "".join(capfd.readouterr())


async def test_a_program_that_dies_is_started_again(capfd: pytest.CaptureFixture[str]) -> None:
    async with tools_of(PROGRAM) as made:
        found = await made.tools()
        assert (await ask(found["die"])).is_error
        assert not (await ask(found["measure"], name="Brocken")).is_error
    capfd.readouterr()


async def test_a_program_that_is_not_there_is_unavailable() -> None:
    for way in (AsProgram("/nonexistent/server"), AsProgram(sys.executable, ("-c", "pass"))):
        async with tools_of(way) as made:
            with pytest.raises(ToolUnavailable):
                await made.tools()


WORDS: dict[str, tuple[AsProgram, str]] = {
    "a command that is not there": (
        AsProgram("/nonexistent/server", folder=Path("/tmp")),
        "/nonexistent/server cannot be started in /tmp: No such file or directory",
    ),
    "a file that is not there": (
        AsProgram(sys.executable, ("none.py",), folder=Path("/tmp")),
        f"{sys.executable}: can't open file '/tmp/none.py': [Errno 2] No such file or directory",
    ),
    "an end without a word": (
        AsProgram(sys.executable, ("-c", "pass")),
        "it has ended, or speaks no MCP, and says nothing on standard error",
    ),
    "secrets and signs": (
        AsProgram(
            sys.executable,
            (
                "-c",
                "import os; raise SystemExit(f\"\x1b[1mno {os.environ['K']} {os.environ['K'][8:14]}\")",
            ),
            {"K": "https://s3cret@host.test"},
        ),
        "?[1mno *** ***",
    ),
    "a secret that begins before the end": (
        AsProgram(
            sys.executable,
            ("-c", "import os, sys; sys.stderr.write(os.environ['K'] * 20000)"),
            {"K": "s3cret-s3cret"},
        ),
        "it has ended, or speaks no MCP, and says nothing on standard error",
    ),
}


@pytest.mark.parametrize("kind", WORDS)
async def test_the_log_says_once_why_a_program_does_not_start(kind: str) -> None:
    way, said = WORDS[kind]
    clock = ManualClock()
    made = McpTools(Server("mountains", way), clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(ToolUnavailable) as raised:
                await made.tools()
            await clock.advance(60)
        await made.close()
    assert [line["said"] for line in lines if line["event"] == "tools.unreachable"] == [said]
    assert said not in str(raised.value)


async def test_the_operator_may_leave_some_tools_out() -> None:
    async with served() as url, tools_of(at(url), tools=frozenset({"measure"})) as made:
        assert set(await made.tools()) == {"measure"}


async def test_a_server_that_started_anew_is_asked_again_in_a_new_session(
    server: WebServer,
) -> None:
    peer = Peer(server)
    async with tools_of(at(f"{server.url}/mcp")) as made:
        found = await made.tools()
        peer.sessions.clear()
        assert (await ask(found["it"])).output == "done"
        assert len(peer.sessions) == 1


class Peer:
    """Speaks the protocol as it is told, over real HTTP."""

    def __init__(self, server: WebServer, *tools: dict[str, Any]) -> None:
        self.sessions: set[str] = set()
        self.methods: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._count = 0
        self.answers: dict[str, Callable[[Any], Any]] = {
            "initialize": lambda _: {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "peer", "version": "1"},
            },
            "tools/list": lambda _: {"tools": list(tools) or [tool("it")]},
            "tools/call": lambda _: {"content": [{"type": "text", "text": "done"}]},
        }
        server.will_do("/mcp", self.answer)

    def answer(self, asked: Asked) -> bytes | None:  # noqa: PLR0911 - the protocol has its cases
        self.headers.append(asked.headers)
        if asked.method != "POST":
            return response(b"", "405 No")
        message = json.loads(asked.body)
        method = message["method"]
        self.methods.append(method)
        if "id" not in message:
            return response(b"", "202 Accepted")
        if method == "initialize":
            self._count += 1
            self.sessions.add(str(self._count))
        elif (
            method != "server/discover" and asked.headers.get("mcp-session-id") not in self.sessions
        ):
            return response({}, "404 Gone")
        act = self.answers.get(method)
        if act is None:
            return response(_error(message, -32601, "Method not found"))
        made = act(message.get("params"))
        if made is None or isinstance(made, bytes):
            return made
        if "code" in made:
            return response(_error(message, made["code"], made["message"]))
        told = {"jsonrpc": "2.0", "id": message["id"], "result": made}
        return response(told, mcp_session_id=str(self._count))


def _error(message: Any, code: int, said: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": said}}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


async def test_headers_are_read_before_each_request(server: WebServer) -> None:
    peer, secret = Peer(server), ["old"]
    reach = reach_of([server.url[7:]], [server.url[7:]])
    way = AtAddress(
        f"{server.url}/mcp", lambda: open_client(reach), lambda: {"authorization": secret[0]}
    )
    async with tools_of(way) as made:
        found = await made.tools()
        secret[0] = "new"
        await ask(found["it"])
    seen = [headers["authorization"] for headers in peer.headers]
    assert (seen[0], seen[-1]) == ("old", "new")


async def test_a_thousand_tools_and_pages_without_end_have_an_end(server: WebServer) -> None:
    peer, pages = Peer(server), iter(range(10**9))
    peer.answers["tools/list"] = lambda _: {
        "tools": [tool(f"t{next(pages)}") for _ in range(300)],
        "nextCursor": "more",
    }
    async with tools_of(at(f"{server.url}/mcp")) as made:
        assert len(await made.tools()) == 500
    peer.answers["tools/list"] = lambda _: {"tools": [], "nextCursor": "more"}
    peer.methods.clear()
    async with tools_of(at(f"{server.url}/mcp")) as made:
        assert await made.tools() == {}
    assert peer.methods.count("tools/list") == 20


async def test_a_schema_that_is_too_large_is_left_out(server: WebServer) -> None:
    large = {"type": "object", "properties": {f"p{it}": {} for it in range(5000)}}
    Peer(server, tool("large", inputSchema=large), tool("it", description="x" * 9000))
    async with tools_of(at(f"{server.url}/mcp")) as made:
        found = await made.tools()
    assert set(found) == {"it"}
    assert len(found["it"].definition.description) == 1024


@pytest.mark.parametrize(("depth", "is_read"), [(60, True), (190, True), (30_000, False)])
async def test_a_schema_without_a_bottom_breaks_nothing_but_its_servers_list(
    server: WebServer, depth: int, *, is_read: bool
) -> None:
    deep = '{"not":' * depth + "{}" + "}" * depth
    stands_in = "x" * (len(deep) - 2)
    peer = Peer(server, tool("deep", inputSchema={"type": "object", "not": stands_in}), tool("it"))

    def answer(asked: Asked) -> bytes | None:
        made = peer.answer(asked)
        return made and made.replace(f'"{stands_in}"'.encode(), deep.encode())

    server.will_do("/mcp", answer)
    async with tools_of(at(f"{server.url}/mcp")) as made:
        if not is_read:
            with pytest.raises(ToolUnavailable):
                await made.tools()
            return
        assert set(foreign_tools("m", await made.tools())) == {"m_it"}


@pytest.mark.parametrize(("depth", "is_kept"), [(60, True), (100_000, False)])
async def test_a_schema_that_nobody_can_look_at_is_left_out(*, depth: int, is_kept: bool) -> None:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    assert is_small(schema) is is_kept


async def test_a_pattern_in_the_schema_of_the_answer_takes_no_time(server: WebServer) -> None:
    evil = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    peer = Peer(server, tool("it", outputSchema=evil))
    answer = {"content": [], "structuredContent": {"a": "a" * 40 + "!"}}
    peer.answers["tools/call"] = lambda _: answer
    async with tools_of(at(f"{server.url}/mcp")) as made:
        outcome = await ask((await made.tools())["it"])
    assert outcome.output == {"a": "a" * 40 + "!"}


WRONG: dict[str, Any] = {
    "no JSON": response(b"<html>", content_type="application/json"),
    "no content type": response(b"{}", content_type="image/gif"),
    "an error": response({}, "500 Broken"),
    "no result": {"content": 5},
    "no parts": {"content": [{"type": "unheard"}]},
    "a refusal": {"code": -32602, "message": "x" * 5000},
    "a failure": {"code": -32603, "message": "secret"},
    "too much": response(b" " * 2_000_000),
    "packed": response(b"\x1f\x8b", content_encoding="gzip"),
    "elsewhere": response(b"", "307 Elsewhere", location="http://169.254.169.254/"),
    "much text": {"content": [{"type": "text", "text": "x" * 300_000}]},
    "the end": b"",
    "accepted": response(b"", "202 Accepted"),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_answer_is_an_error_of_this_call_alone(server: WebServer, kind: str) -> None:
    peer = Peer(server)
    async with tools_of(at(f"{server.url}/mcp")) as made:
        it = (await made.tools())["it"]
        good = peer.answers["tools/call"]
        peer.answers["tools/call"] = lambda _: WRONG[kind]
        outcome: Any = await ask(it)
        assert outcome.is_error
        assert outcome.output["error"] != "tool_failed"
        assert len(str(outcome.output)) < 700
        assert "secret" not in str(outcome.output)
        peer.answers["tools/call"] = good
        assert (await ask(it)).output == "done"


async def test_a_server_that_hangs_is_left_in_time_and_asked_anew(server: WebServer) -> None:
    peer = Peer(server)
    async with tools_of(at(f"{server.url}/mcp"), timeout_s=0.1) as made:
        it = (await made.tools())["it"]
        good = peer.answers["tools/call"]
        peer.answers["tools/call"] = lambda _: None
        for _ in range(3):
            assert (await ask(it)).is_error
        peer.answers["tools/call"] = good
        assert (await ask(it)).output == "done"
    assert peer.methods.count("initialize") == 2


async def test_a_server_that_is_away_is_not_asked_at_each_run(server: WebServer) -> None:
    server.will("/mcp", {}, "503 Busy")
    entry = server.url.removeprefix("http://")
    reach = reach_of([entry], [entry])
    clock = ManualClock()
    way = AtAddress(f"{server.url}/mcp", lambda: open_client(reach))
    made = McpTools(Server("peer", way), clock)
    for _ in range(3):
        with pytest.raises(ToolUnavailable):
            await made.tools()
    asked = len(server.asked)
    Peer(server)
    await clock.advance(11)
    assert set(await made.tools()) == {"it"}
    assert asked <= 2
    await made.close()


async def test_the_last_list_holds_while_the_server_is_away(server: WebServer) -> None:
    peer, clock = Peer(server), ManualClock()
    entry = server.url.removeprefix("http://")
    reach = reach_of([entry], [entry])
    made = McpTools(
        Server("peer", AtAddress(f"{server.url}/mcp", lambda: open_client(reach))), clock
    )
    found = await made.tools()
    peer.answers["tools/list"] = lambda _: {"code": -32603, "message": "away"}
    await clock.advance(301)
    assert await made.tools() is found
    peer.answers["tools/list"] = lambda _: {"tools": [tool("other")]}
    await clock.advance(11)
    assert set(await made.tools()) == {"other"}
    await made.close()


async def test_an_address_out_of_reach_is_never_asked(server: WebServer) -> None:
    for reach in (reach_of(["127.0.0.1"]), reach_of(["docs.test"], ["127.0.0.1"])):
        way = AtAddress(f"{server.url}/mcp", partial(open_client, reach))
        async with tools_of(way) as made:
            with pytest.raises(ToolUnavailable):
                await made.tools()
    assert server.connections == 0
