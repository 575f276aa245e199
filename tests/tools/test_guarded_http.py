"""Requests to a real server, by a client that assumes the worst of it."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import pytest_asyncio

from backend.errors import ToolRefused, ToolUnavailable
from backend.integrations.web.client import GuardedHttp
from backend.integrations.web.reach import reach_of
from backend.ports.http import HttpAnswer, HttpRequest
from tests.tools.web_server import WebServer, web_server

HERE = ["127.0.0.1"]


@pytest_asyncio.fixture
async def http(server: WebServer) -> AsyncIterator[GuardedHttp]:
    """Yield a client that may ask the server of this test, and api.test."""
    hosts = [f"127.0.0.1:{server.port}", f"api.test:{server.port}"]
    async with GuardedHttp(reach_of(hosts, hosts), resolving=answers(*HERE)) as made:
        yield made


class answers:  # noqa: N801 - a function with a memory
    """Resolves each name to the next of these, and to the last one from then on."""

    def __init__(self, *addresses: str | Sequence[str]) -> None:
        self._left = list(addresses)
        self.asked: list[str] = []

    async def __call__(self, name: str, port: int) -> Sequence[str]:
        del port
        self.asked.append(name)
        found = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return [found] if isinstance(found, str) else found


async def get(http: GuardedHttp, url: str, **more: object) -> HttpAnswer:
    return await http.send(HttpRequest("GET", url, **more))  # type: ignore[arg-type]


async def test_an_answer_is_returned_whatever_its_status(
    server: WebServer, http: GuardedHttp
) -> None:
    server.will("/a", {"x": 1}, "418 Teapot", content_type="Application/JSON; charset=utf-8")
    answer = await get(http, f"{server.url}/a?q=1", headers={"x-key": "k"})
    assert (answer.status, answer.content_type, answer.body) == (
        418,
        "application/json",
        b'{"x": 1}',
    )
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("GET", "/a?q=1")
    assert asked.headers["x-key"] == "k"
    assert asked.headers["accept-encoding"] == "identity"


async def test_a_body_is_sent(server: WebServer, http: GuardedHttp) -> None:
    server.will("/a", {})
    await http.send(HttpRequest("POST", f"{server.url}/a", body=b'{"a": 1}'))
    assert server.asked[0].body == b'{"a": 1}'


@pytest.mark.parametrize(
    "found", [["10.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["127.0.0.1"]]
)
async def test_a_name_that_leads_into_a_private_network_is_not_connected_to(
    server: WebServer, found: list[str]
) -> None:
    reach = reach_of([f"api.test:{server.port}"])
    async with GuardedHttp(reach, resolving=answers(found)) as http:
        with pytest.raises(ToolRefused, match="network"):
            await get(http, f"http://api.test:{server.port}/")
    assert server.connections == 0


async def test_the_metadata_of_a_cloud_is_refused_even_to_a_host_that_may_be_private() -> None:
    reach = reach_of(["api.test"], ["api.test"])
    async with GuardedHttp(reach, resolving=answers("169.254.169.254")) as http:
        with pytest.raises(ToolRefused):
            await get(http, "http://api.test/latest/meta-data/")


async def test_a_name_is_resolved_once_and_that_address_is_asked(server: WebServer) -> None:
    rebinding = answers("127.0.0.1", "10.0.0.1")
    entry = f"api.test:{server.port}"
    server.will("/", {})
    async with GuardedHttp(reach_of([entry], [entry]), resolving=rebinding) as http:
        assert (await get(http, f"http://{entry}/")).status == 200
    assert rebinding.asked == ["api.test"]
    assert server.asked[0].headers["host"] == entry


async def test_the_next_address_is_asked_where_one_does_not_answer(server: WebServer) -> None:
    entry = f"api.test:{server.port}"
    server.will("/", {})
    found = answers(["127.0.0.9", "127.0.0.1"])
    async with GuardedHttp(reach_of([entry], [entry]), resolving=found) as http:
        assert (await get(http, f"http://{entry}/")).status == 200


async def test_proxies_and_logins_of_the_environment_are_not_used(
    server: WebServer, http: GuardedHttp, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    async with web_server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        netrc = f"{tmp_path}/netrc"
        with open(netrc, "w", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123
            file.write("machine 127.0.0.1 login ada password secret")
        monkeypatch.setenv("NETRC", netrc)
        entry = f"127.0.0.1:{server.port}"
        async with GuardedHttp(reach_of([entry], [entry])) as fresh:
            server.will("/", {})
            await get(fresh, f"{server.url}/")
            await get(http, f"{server.url}/")
        assert proxy.connections == 0
    assert all("authorization" not in asked.headers for asked in server.asked)


async def test_a_redirect_is_followed_within_the_list(server: WebServer, http: GuardedHttp) -> None:
    server.will_redirect("/a", "/b?x=1")
    server.will("/b", {"here": True})
    answer = await get(http, f"{server.url}/a", headers={"authorization": "Bearer k"})
    assert answer.body == b'{"here": true}'
    assert server.asked[1].headers["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/",
        "http://evil.test/",
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1/",
        "http://0x7f.1/",
        "http://[::ffff:7f00:1]/",
        "\\\\evil.test\\",
    ],
)
async def test_a_redirect_out_of_reach_is_refused(
    server: WebServer, http: GuardedHttp, to: str
) -> None:
    server.will_redirect("/a", to)
    with pytest.raises(ToolRefused):
        await get(http, f"{server.url}/a")
    assert len(server.asked) == 1


async def test_another_host_never_sees_the_headers_that_were_meant_for_the_first(
    server: WebServer, http: GuardedHttp
) -> None:
    server.will_redirect("/a", f"http://api.test:{server.port}/b")
    server.will("/b", {})
    headers = {"authorization": "Bearer k", "x-key": "k", "cookie": "k"}
    await get(http, f"{server.url}/a", headers=headers)
    assert not {"authorization", "x-key", "cookie"} & set(server.asked[1].headers)


async def test_another_host_is_never_sent_the_body(server: WebServer, http: GuardedHttp) -> None:
    server.will_redirect("/a", f"http://api.test:{server.port}/b", 307)
    with pytest.raises(ToolRefused, match="another host"):
        await http.send(HttpRequest("POST", f"{server.url}/a", body=b"secret"))
    assert len(server.asked) == 1


async def test_a_redirected_form_becomes_a_question(server: WebServer, http: GuardedHttp) -> None:
    server.will_redirect("/a", "/b", 303)
    server.will("/b", {})
    await http.send(HttpRequest("POST", f"{server.url}/a", body=b"x"))
    assert (server.asked[1].method, server.asked[1].body) == ("GET", b"")


async def test_who_redirects_in_circles_is_left(server: WebServer, http: GuardedHttp) -> None:
    server.will_redirect("/a", "/a")
    with pytest.raises(ToolRefused, match="one address to the next"):
        await get(http, f"{server.url}/a")
    assert len(server.asked) == 4


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


LONG = b"x" * 5000
OVERLONG: dict[str, Callable[[WebServer], None]] = {
    "said": lambda server: server.will("/a", LONG),
    "unsaid": lambda server: server.will_send("/a", b"HTTP/1.1 200 OK\r\n\r\n" + LONG),
    "in pieces": lambda server: server.will_send(
        "/a", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _chunked(b"x" * 700) * 9
    ),
    "a gzip bomb": lambda server: server.will(
        "/a", gzip.compress(b"\0" * 2_000_000), content_encoding="gzip"
    ),
    "a zlib bomb": lambda server: server.will(
        "/a", zlib.compress(b"\0" * 2_000_000), content_encoding="deflate"
    ),
}


@pytest.mark.parametrize("kind", OVERLONG)
async def test_a_long_answer_is_refused(server: WebServer, http: GuardedHttp, kind: str) -> None:
    OVERLONG[kind](server)
    with pytest.raises(ToolRefused, match="longer than 4096 bytes"):
        await get(http, f"{server.url}/a", max_bytes=4096)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_an_answer_is_never_unpacked_much_further_than_it_may_be_long(
    server: WebServer, http: GuardedHttp, pack: Callable[[bytes], bytes]
) -> None:
    server.will("/a", pack(b"\0" * 50_000_000), content_encoding="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(ToolRefused):
            await get(http, f"{server.url}/a", max_bytes=100_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


async def test_an_answer_that_was_packed_unasked_is_unpacked(
    server: WebServer, http: GuardedHttp
) -> None:
    server.will("/a", gzip.compress(b"words " * 100), content_encoding="gzip")
    assert (await get(http, f"{server.url}/a", max_bytes=600)).body == b"words " * 100


BROKEN: Sequence[tuple[bytes, type[Exception]]] = [
    (b"", ToolUnavailable),
    (b"SSH-2.0-OpenSSH_9.2\r\n", ToolUnavailable),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", ToolUnavailable),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nx", ToolRefused),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nwords", ToolRefused),
    (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(LONG, mtime=0)[:-9],
        ToolUnavailable,
    ),
    (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n", ToolUnavailable),
]


@pytest.mark.parametrize(("sent", "error"), BROKEN)
async def test_an_answer_that_is_none_is_an_error_of_ours(
    server: WebServer, http: GuardedHttp, sent: bytes, error: type[Exception]
) -> None:
    server.will_send("/a", sent)
    with pytest.raises(error):
        await get(http, f"{server.url}/a")


async def test_a_server_that_hangs_is_left_in_time(server: WebServer, http: GuardedHttp) -> None:
    server.will_hang("/a")
    with pytest.raises(ToolUnavailable, match="No answer within"):
        await get(http, f"{server.url}/a", timeout_s=0.2)


async def test_a_header_cannot_smuggle_another(server: WebServer, http: GuardedHttp) -> None:
    with pytest.raises(ToolRefused):
        await get(http, f"{server.url}/a", headers={"x": "a\r\nHost: evil"})
    with pytest.raises(ToolRefused):
        await get(http, f"{server.url}/a", headers={"x": "ü\ud800"})
    assert server.asked == []


async def test_what_lies_at_an_address_is_fetched(server: WebServer, http: GuardedHttp) -> None:
    server.will("/a.png", b"png", content_type="image/png")
    fetched = await http.get(f"{server.url}/a.png", max_bytes=10, timeout_s=5)
    assert (fetched.content_type, fetched.body) == ("image/png", b"png")
    with pytest.raises(ToolRefused, match="404"):
        await http.get(f"{server.url}/b.png", max_bytes=10, timeout_s=5)
    server.will("/c.png", b"", "503 Busy")
    with pytest.raises(ToolUnavailable, match="503"):
        await http.get(f"{server.url}/c.png", max_bytes=10, timeout_s=5)


async def test_nothing_of_the_own_network_is_fetched_for_anybody(server: WebServer) -> None:
    async with GuardedHttp(reach_of(None)) as http:
        for url in (server.url, "http://localhost/", "http://[::1]/", "http://127.0.0.1/"):
            with pytest.raises(ToolRefused):
                await http.get(url, max_bytes=10, timeout_s=5)
    assert server.connections == 0
