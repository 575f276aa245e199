"""The end of the service: what has begun is finished, streams say goodbye, nothing hangs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from backend.api.server import ServerLimits
from tests.api.scene import Gate, running, service
from tests.support.processes import ROOT, until


class Program:
    """A service in a process of its own."""

    def __init__(self, folder: Path, *, port: int = 0, grace_s: float = 10) -> None:
        self._log = folder / f"log-{os.urandom(4).hex()}"
        self._said = self._log.with_suffix(".out")
        with self._log.open("wb") as log, self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.api.program", "127.0.0.1", str(port), str(grace_s)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
            )

    def log(self) -> str:
        return self._log.read_text()

    def said(self) -> list[str]:
        return self._said.read_text().split()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines about this event."""
        entries = [json.loads(line) for line in self.log().splitlines()]
        return [entry for entry in entries if entry["event"] == event]

    async def client(self) -> httpx.AsyncClient:
        """Return a client once the service listens."""

        async def listens() -> bool:
            assert self.process.poll() is None, self.log()
            return "service.listening" in self.log()

        await until(listens)
        (line,) = self.logged("service.listening")
        assert line["host"] == "127.0.0.1"
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{line['port']}", timeout=20)

    async def has_said(self, *words: str) -> None:
        """Wait until it has said so much."""

        async def said() -> bool:
            return self.said() == list(words)

        await until(said)

    async def ended(self) -> int:
        """Return the exit code."""

        async def gone() -> bool:
            return self.process.poll() is not None

        await until(gone)
        return self.process.wait()


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Yield a list; the programs in it are gone afterwards."""
    started: list[Program] = []
    yield started
    for program in started:
        program.process.kill()
        program.process.wait()


def start(programs: list[Program], folder: Path, **options: Any) -> Program:
    """Return a program that is starting."""
    programs.append(Program(folder, **options))
    return programs[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_an_idle_service_in_order(
    programs: list[Program], tmp_path: Path, number: signal.Signals
) -> None:
    program = start(programs, tmp_path)
    async with await program.client() as client:
        assert (await client.get("/healthz")).status_code == 200
        program.process.send_signal(number)
        assert await program.ended() == 0
    assert [line["broken_off"] for line in program.logged("service.stopped")] == [0]
    assert "Traceback" not in program.log()


async def test_a_request_under_way_is_answered_and_a_stream_comes_to_its_end(
    programs: list[Program], tmp_path: Path
) -> None:
    program = start(programs, tmp_path)
    async with await program.client() as client, client.stream("GET", "/stream") as stream:
        said = stream.aiter_text()
        assert await anext(said) == "data: first\n\n"
        slow = asyncio.create_task(client.get("/slow", params={"until_stopped": True}))
        await program.has_said("slow")

        program.process.terminate()

        assert (await slow).json() == {"status": "answered"}
        assert [text async for text in said] == ["data: last\n\n"]
        assert await program.ended() == 0
    assert program.said() == ["slow", "stop"]


async def test_a_second_signal_hurries_and_whoever_waits_is_told_to_come_again(
    programs: list[Program], tmp_path: Path
) -> None:
    program = start(programs, tmp_path, grace_s=600)
    async with await program.client() as client:
        slow = asyncio.create_task(client.get("/slow", params={"until_stopped": False}))
        await program.has_said("slow")
        program.process.terminate()
        await program.has_said("slow", "stop")

        program.process.send_signal(signal.SIGINT)

        response = await slow
        assert await program.ended() == 0
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["code"] == "overloaded"
    assert program.said() == ["slow", "stop", "stop"]
    assert [line["broken_off"] for line in program.logged("service.stopped")] == [1]
    assert "Traceback" not in program.log()
    assert not program.logged("request.broke")


async def test_a_flood_of_signals_leaves_no_trace(programs: list[Program], tmp_path: Path) -> None:
    program = start(programs, tmp_path, grace_s=600)
    async with await program.client() as client:
        slow = asyncio.create_task(client.get("/slow", params={"until_stopped": False}))
        await program.has_said("slow")
        for _ in range(20):
            program.process.send_signal(signal.SIGTERM)
            program.process.send_signal(signal.SIGINT)
        await asyncio.gather(slow, return_exceptions=True)
        assert await program.ended() == 0
    assert "Traceback" not in program.log()


async def test_a_port_that_is_taken_is_named_in_one_sentence(
    programs: list[Program], tmp_path: Path
) -> None:
    first = start(programs, tmp_path)
    async with await first.client() as client:
        port = client.base_url.port
    second = start(programs, tmp_path, port=port or 0)
    assert await second.ended() == 1
    assert second.log().startswith("API_PORT: something else listens on port ")
    assert len(second.log().splitlines()) == 1


def slow_service(gate: Gate) -> Any:
    """Return a service with a route that waits."""
    routes = APIRouter()

    @routes.get("/slow")
    async def slow() -> dict[str, str]:
        await gate.pass_through()
        return {"status": "answered"}

    return service(routes)


async def test_while_it_finishes_it_takes_no_new_connection() -> None:
    gate, stopped = Gate(), asyncio.Event()
    async with running(slow_service(gate), on_stop=stopped.set) as it, it.client() as client:
        slow = asyncio.create_task(client.get("/slow"))
        await gate.reached.wait()
        it.server.stop()
        assert stopped.is_set()

        async def refuses() -> bool:
            try:
                _, writer = await it.connect()
            except (ConnectionRefusedError, ConnectionResetError):
                # Reset: it was waiting to be accepted when the port was closed.
                return True
            writer.close()
            return False

        await until(refuses)
        assert not it.ended.done()
        gate.opened.set()
        response = await slow
        await it.ended
    assert response.json() == {"status": "answered"}


async def test_work_goes_on_to_its_end_even_for_a_caller_who_has_gone() -> None:
    gate, done, routes = Gate(), asyncio.Event(), APIRouter()

    @routes.get("/slow")
    async def slow() -> None:
        await gate.pass_through()
        done.set()

    async with running(service(routes)) as it:
        _, writer = await it.connect()
        writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        await gate.reached.wait()
        writer.close()

        async def gone() -> bool:
            return not it.server.server_state.connections

        await until(gone)
        it.server.stop()
        await asyncio.wait([it.ended], timeout=0.3)
        assert not it.ended.done()
        gate.opened.set()
        await it.ended
    assert done.is_set()


async def test_patience_has_an_end() -> None:
    gate = Gate()
    app = slow_service(gate)
    async with running(app, ServerLimits(grace_s=0.1)) as it, it.client() as client:
        slow = asyncio.create_task(client.get("/slow"))
        await gate.reached.wait()
        it.server.stop()
        await it.ended
        assert (await slow).status_code == 503


async def test_connections_that_only_wait_are_closed_at_once() -> None:
    async with running(service(), ServerLimits(grace_s=600)) as it:
        connections = [await it.connect() for _ in range(3)]
        _, halfway = connections[1]
        halfway.write(b"GET /healthz HT")
        kept, keeping = connections[2]
        keeping.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await kept.readuntil(b"}")
        it.server.stop()
        await it.ended
        for reader, writer in connections:
            assert await reader.read() == b""
            writer.close()


async def test_whoever_cancels_the_service_leaves_no_connection_behind() -> None:
    gate = Gate()
    async with running(slow_service(gate)) as it, it.client() as client:
        slow = asyncio.create_task(client.get("/slow"))
        await gate.reached.wait()
        it.ended.cancel()
        await asyncio.wait([it.ended])
        assert (await slow).status_code == 503
        assert not it.server.server_state.tasks
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")
