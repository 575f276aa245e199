"""Service processes to measure, and an issuer of tokens for them."""

import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from backend.devkit import ports
from backend.devkit.issuer import Issuer
from backend.devkit.tokens import Subject, mint
from bench.project import Project
from bench.workers import BenchWorker

USER = "user_bench"
_SERVE = (sys.executable, "-m", "backend.cli", "serve")
_READY = b"service.listening"
_SETTINGS = {
    "ALLOWED_ORIGINS": "http://localhost:5173",
    "API_MAX_STREAMS_PER_USER": "10000",
    "LOG_FOLDER": "",
}


@dataclass(frozen=True)
class SignIn:
    """Makes tokens that the services take."""

    url: str
    """Of the issuer."""
    token: Callable[[], str]
    """Returns a fresh one."""


class Service:
    """One `assistants serve` on a port of its own, which can be killed and started again."""

    def __init__(self, project: Project, sign_in: SignIn, folder: Path, **settings: str) -> None:
        port = ports.choose(None)
        self.url = f"http://127.0.0.1:{port}"
        self.sign_in = sign_in
        self._log = folder / f"service-{port}.log"
        self._settings = {
            **project.environment,
            "CLERK_ISSUER": sign_in.url,
            "API_PORT": str(port),
            **_SETTINGS,
            **settings,
        }

    async def start(self) -> None:
        """The service answers."""
        self._process = BenchWorker(_SERVE, self._log, self._settings, ready=_READY)
        await self._process.ready()

    def kill(self) -> None:
        """The service is gone at once."""
        self._process.kill()

    def cpu_s(self) -> float:
        """Return its CPU time."""
        return self._process.cpu_s()

    def memory_bytes(self) -> int:
        """Return what the process holds."""
        return int(psutil.Process(self._process.process.pid).memory_info().rss)


@contextmanager
def signing_in() -> Iterator[SignIn]:
    """Yield an issuer that answers."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    issuer = Issuer(key, ports.choose(None))
    issuer.start()

    def token() -> str:
        return mint(key, issuer.url, Subject(USER), now_s=int(time.time()))

    try:
        yield SignIn(issuer.url, token)
    finally:
        issuer.stop()


@asynccontextmanager
async def serving(project: Project) -> AsyncIterator[Service]:
    """Yield a service that answers; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="supa-bench-service-") as folder, signing_in() as users:
        service = Service(project, users, Path(folder))
        try:
            await service.start()
            yield service
        finally:
            service.kill()
