"""What strangers send to the webhook's address costs little and ends in a refusal."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.driving import examples
from tests.support.webhooks import PATH, SECRET, Service, body_of, refused, serving, signed

_LIMIT_BYTES = 256 * 1024
_PATIENCE_S = 5.0
_MEGABYTES_10 = 10 * 1024 * 1024


class Sender:
    """Hands the application pieces of a body, and counts those that it asked for."""

    def __init__(self, *pieces: bytes | None) -> None:
        """None is where the sender hangs up; behind the last piece it says nothing more."""
        self._pieces = iter(pieces)
        self.asked = 0
        self.answer: dict[str, Any] = {}

    async def post(self, service: Service, headers: dict[str, str]) -> int:
        """Return the status of the answer."""
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": PATH, "headers": raw}
        scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http"}
        async with asyncio.timeout(_PATIENCE_S):
            await service.app(scope, self._receive, self._send)
        return int(self.answer["status"])

    async def _receive(self) -> dict[str, Any]:
        self.asked += 1
        for piece in self._pieces:
            if piece is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.answer = message


async def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    service = Service(SECRET)
    fits = body_of() + b" " * (_LIMIT_BYTES - len(body_of()))

    answer = await service.post(fits, signed(fits))

    assert (answer.status_code, service.woken) == (202, 1)
    await refused(
        Service(SECRET), fits + b" ", signed(fits + b" "), status=413, code="payload_too_large"
    )


async def test_a_body_that_says_that_it_is_large_is_not_even_read() -> None:
    sender = Sender()

    status = await sender.post(Service(SECRET), {"content-length": str(_MEGABYTES_10)})

    assert (status, sender.asked) == (413, 0)


@pytest.mark.parametrize("declared", [{}, {"content-length": "10"}, {"content-length": "-1"}])
async def test_a_body_that_does_not_say_it_is_read_up_to_the_limit(
    declared: dict[str, str],
) -> None:
    service = Service(SECRET)
    sender = Sender(*[b" " * 65_536] * 160)

    status = await sender.post(service, {**signed(b"{}"), **declared})

    assert (status, sender.asked, service.woken) == (413, 5, 0)


async def test_a_body_of_ten_megabytes_is_refused_over_a_real_connection() -> None:
    service = Service(SECRET)

    async with serving(service.app) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {_MEGABYTES_10}\r\n\r\n"
        writer.write(head.encode() + b" " * 1000)
        answer = await reader.readuntil(b"\r\n")
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413")
    assert service.woken == 0


async def test_a_sender_that_falls_silent_is_not_waited_for() -> None:
    service = Service(SECRET, body_s=0.02)

    assert await Sender(body_of()).post(service, signed(body_of())) == 400
    assert service.woken == 0


async def test_a_sender_that_hangs_up_wakes_nobody() -> None:
    service = Service(SECRET)

    assert await Sender(body_of(), None).post(service, signed(body_of())) == 400
    assert service.woken == 0


async def test_a_compressed_body_is_not_unpacked() -> None:
    headers = {**signed(b"{}"), "content-encoding": "gzip"}

    await refused(
        Service(SECRET), b"\x1f\x8b" * 1000, headers, status=401, code="signature_invalid"
    )


async def test_a_body_in_pieces_is_taken_whole() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in body_of():
            yield bytes([byte])

    answer = await Service(SECRET).post(pieces(), signed(body_of()))

    assert answer.status_code == 202


async def test_a_wake_up_that_hangs_is_not_waited_for() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    service = Service(SECRET, wake=hang, wake_s=0.02)

    async with asyncio.timeout(_PATIENCE_S):
        await refused(service, body_of(), signed(body_of()), status=503, code="dependency_failed")


async def test_other_methods_are_refused() -> None:
    service = Service(SECRET)

    for method in ("GET", "PUT", "DELETE"):
        assert (await service.post(b"", {}, method=method)).status_code == 405


def test_whatever_strangers_send_is_refused() -> None:
    names = st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
    values = st.binary(max_size=40) | st.sampled_from([b"1", b"1e400", b"v1,", b"v1,AAAA", b"v1, "])
    service = Service(SECRET)

    with asyncio.Runner() as runner:

        @examples(300)
        @given(st.lists(st.tuples(names, values), max_size=5), st.binary(max_size=100))
        def holds(changes: list[tuple[bytes, bytes]], body: bytes) -> None:
            honest = {name.encode(): value.encode() for name, value in signed(body_of()).items()}
            sent = list({**honest, **dict(changes)}.items()) if len(changes) < 3 else changes
            answer = runner.run(service.post(body, sent))
            assert (answer.status_code, service.woken) == (401, 0)

        holds()


def test_whoever_changes_one_bit_is_refused() -> None:
    service = Service(SECRET)
    body = body_of()

    with asyncio.Runner() as runner:

        @examples(300)
        @given(st.integers(0, len(body) - 1), st.integers(0, 7))
        def holds(place: int, bit: int) -> None:
            changed = bytearray(body)
            changed[place] ^= 1 << bit
            answer = runner.run(service.post(bytes(changed), signed(body)))
            assert (answer.status_code, service.woken) == (401, 0)

        holds()
