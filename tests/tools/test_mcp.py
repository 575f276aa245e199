"""Tools of MCP servers, real ones by the protocol's own SDK first: asked, called, started anew."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
import uvicorn

from backend.errors import ToolUnavailable
from backend.integrations.mcp.servers import AsProgram, AtAddress, Server
from backend.integrations.mcp.source import McpTools
from backend.integrations.web.connections import open_client
from backend.integrations.web.reach import reach_of
from tests.support.manual_clock import ManualClock
from tests.tools.mcp_peer import ROOT, Peer, ask, at, tools_of
from tests.tools.mcp_program import make
from tests.tools.web_server import WebServer

PROGRAM = AsProgram(sys.executable, ("-m", "tests.tools.mcp_program"), {"GIVEN": "1"}, ROOT)


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
