"""Tools of MCP servers that mean no good, answer wrongly, hang or are away."""

from functools import partial
from typing import Any

import pytest

from backend.errors import ToolUnavailable
from backend.integrations.mcp.servers import AtAddress, Server
from backend.integrations.mcp.source import McpTools, is_small
from backend.integrations.web.connections import open_client
from backend.integrations.web.reach import reach_of
from backend.tools.foreign import foreign_tools
from tests.support.manual_clock import ManualClock
from tests.tools.mcp_peer import Peer, ask, at, tool, tools_of
from tests.tools.web_server import Asked, WebServer, response


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
    async with tools_of(at(f"{server.url}/mcp"), timeout_s=1) as made:
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
