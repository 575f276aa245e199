"""`assistants healthy` asks processes that work, stand still, or have no database."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.images.conftest import free_port, let_an_hour_pass
from tests.support.processes import ROOT, AssistantsProcess, until
from tests.support.service import ServiceProcess

NOBODY = "postgresql://nobody:nothing@127.0.0.1:1/nowhere"
Asked = subprocess.CompletedProcess[str]


def healthy(*options: str, **environment: str) -> Asked:
    return subprocess.run(
        [sys.executable, "-m", "backend.cli", "healthy", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


async def until_healthy(*options: str, **environment: str) -> None:
    async def holds() -> bool:
        return healthy(*options, **environment).returncode == 0

    await until(holds)


class Processes:
    """Starts processes whose database is down; none of them is left afterwards."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def work(self, file: Path) -> AssistantsProcess:
        return self._start(AssistantsProcess, ["work"], {"WORKER_LIVENESS_FILE": str(file)})

    async def serve(self, port: str, *options: str, host: str = "127.0.0.1") -> AssistantsProcess:
        given = {"CLERK_ISSUER": "http://127.0.0.1:1", "API_HOST": host, "API_PORT": port}
        return await self._start(ServiceProcess, ["serve", *options], given).ready()

    def _start(
        self, kind: type[AssistantsProcess], command: list[str], given: Mapping[str, str]
    ) -> AssistantsProcess:
        process = kind(command, self._folder / "log", {"DATABASE_URL": NOBODY, **given})
        self._stack.callback(process.kill)
        self._stack.callback(process.thaw)
        return process


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with ExitStack() as stack:
        yield Processes(tmp_path, stack)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "worker-alive"


async def test_a_worker_is_well_although_its_database_is_down(
    processes: Processes, file: Path
) -> None:
    processes.work(file)
    await until_healthy(WORKER_LIVENESS_FILE=str(file))
    let_an_hour_pass(file)
    await until_healthy(WORKER_LIVENESS_FILE=str(file))


async def test_a_frozen_worker_is_not_well_until_it_goes_on(
    processes: Processes, file: Path
) -> None:
    worker = processes.work(file)
    await until_healthy(WORKER_LIVENESS_FILE=str(file))
    worker.freeze()
    let_an_hour_pass(file)
    asked = healthy("--worker", WORKER_LIVENESS_FILE=str(file))
    assert asked.returncode == 1
    assert re.fullmatch(rf"A worker touched {file} 36\d\d s ago\.\n", asked.stdout)
    worker.thaw()
    await until_healthy("--worker", WORKER_LIVENESS_FILE=str(file))


async def test_a_worker_touches_its_file_until_it_has_drained(
    processes: Processes, file: Path
) -> None:
    worker = processes.work(file)
    await until_healthy(WORKER_LIVENESS_FILE=str(file))
    worker.ask_to_stop()
    assert await worker.ended() == 0


async def test_a_worker_that_has_only_begun_ends_in_order_too(
    processes: Processes, file: Path
) -> None:
    worker = processes.work(file)

    async def begun() -> bool:
        return await asyncio.to_thread(file.exists)

    await until(begun)
    worker.ask_to_stop()
    assert await worker.ended() == 0


def test_a_file_from_the_future_belongs_to_nobody_who_lives(file: Path) -> None:
    file.touch()
    os.utime(file, (0, file.stat().st_mtime + 3600))
    assert healthy(WORKER_LIVENESS_FILE=str(file)).returncode == 1


def test_a_worker_that_never_came_is_not_well(file: Path) -> None:
    asked = healthy("--worker", WORKER_LIVENESS_FILE=str(file))
    assert (asked.returncode, asked.stdout) == (1, f"No worker has touched {file}.\n")


async def test_a_worker_that_cannot_write_its_file_says_so_and_does_not_start(
    processes: Processes, tmp_path: Path
) -> None:
    worker = processes.work(tmp_path / "missing" / "worker-alive")
    assert await worker.ended() == 1
    assert "WORKER_LIVENESS_FILE cannot be written: FileNotFoundError." in worker.log_text()


@pytest.mark.parametrize("options", [(), ("--with-worker",)])
async def test_a_service_is_well_although_its_database_is_down_and_not_while_it_is_frozen(
    processes: Processes, file: Path, options: tuple[str, ...]
) -> None:
    port = free_port()
    service = await processes.serve(port, *options)
    environment = {"API_PORT": port, "WORKER_LIVENESS_FILE": str(file)}
    asked = healthy(**environment)
    assert (asked.returncode, asked.stdout) == (0, f"The service answers on 127.0.0.1:{port}.\n")
    service.freeze()
    asked = healthy(**environment)
    assert (asked.returncode, asked.stdout) == (
        1,
        f"Nothing answers on 127.0.0.1:{port}: TimeoutError.\n",
    )
    service.thaw()
    await until_healthy(**environment)


@pytest.mark.parametrize(("host", "near"), [("0.0.0.0", "127.0.0.1"), ("localhost", "localhost")])
async def test_a_service_is_asked_where_it_listens(
    processes: Processes, host: str, near: str
) -> None:
    port = free_port()
    await processes.serve(port, host=host)
    # A proxy would not know what this machine calls 127.0.0.1.
    asked = healthy(API_HOST=host, API_PORT=port, http_proxy="http://127.0.0.1:1")
    assert (asked.returncode, asked.stdout) == (0, f"The service answers on {near}:{port}.\n")


def test_where_nothing_runs_nothing_is_well() -> None:
    port = free_port()
    asked = healthy(API_PORT=port)
    assert asked.returncode == 1
    assert asked.stdout == f"Nothing answers on 127.0.0.1:{port}: ConnectionRefusedError.\n"


class Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, *_: object) -> None:
        pass


def test_another_program_on_the_port_is_not_taken_for_the_service() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        asked = healthy(API_PORT=str(server.server_port))
        server.shutdown()
        thread.join()
    assert asked.returncode == 1
    assert asked.stdout.startswith("Something else than our service answers")


@pytest.mark.parametrize(
    ("options", "environment", "sentence"),
    [
        ((), {"API_PORT": "0"}, "API_PORT is 0: only the log says where the service listens."),
        (
            ("--worker",),
            {},
            "WORKER_LIVENESS_FILE is not set: nobody can tell how a worker is.",
        ),
    ],
)
def test_what_nobody_can_tell_is_not_well(
    options: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    asked = healthy(*options, **environment)
    assert (asked.returncode, asked.stderr) == (1, f"{sentence}\n")


def test_asking_loads_no_more_than_the_settings() -> None:
    code = "import sys, backend.cli, backend.app.health; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"asyncpg", "fastapi", "httpx", "openai", "structlog", "supabase", "uvicorn"}
    assert not heavy & set(done.stdout.split())
