"""Real service processes, and the tokens that they take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from backend.devkit import ports
from backend.devkit.issuer import Issuer
from backend.devkit.tokens import Subject, mint
from tests.support.identities import Identity
from tests.support.processes import AssistantsProcess, Workshop

ORIGIN = "http://localhost:5173"


class SignIn:
    """An issuer of tokens on a port of its own."""

    def __init__(self, key: RSAPrivateKey, issuer: Issuer) -> None:
        self.key = key
        self.url = issuer.url

    def token(self, who: Identity, *, older_s: int = 0) -> str:
        """Return a token for a minute from so many seconds ago."""
        now_s = int(time.time()) - older_s
        subject = Subject(who.sub, (who.claims or {}).get("org_id"))
        return mint(self.key, self.url, subject, now_s=now_s)

    def tokens(self, who: Identity) -> Callable[[], str]:
        """Return a function that gets a fresh token."""
        return partial(self.token, who)


@contextmanager
def open_sign_in() -> Iterator[SignIn]:
    """Yield an issuer that answers."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    issuer = Issuer(key, ports.choose(None))
    issuer.start()
    try:
        yield SignIn(key, issuer)
    finally:
        issuer.stop()


class ServiceProcess(AssistantsProcess):
    """One `assistants serve`."""

    ready_event = "service.listening"

    @property
    def url(self) -> str:
        """Return where it answers."""
        (listening,) = self.logged(self.ready_event)
        return f"http://127.0.0.1:{listening['port']}"

    def client(self) -> httpx.AsyncClient:
        """Return a client of it without limits on the number of streams."""
        return httpx.AsyncClient(
            base_url=self.url,
            timeout=httpx.Timeout(30, pool=None),
            limits=httpx.Limits(max_connections=None),
        )


class Services:
    """Starts services for one database; none of them is left afterwards."""

    def __init__(self, workshop: Workshop, sign_in: SignIn, folder: Path) -> None:
        self._workshop = workshop
        self._sign_in = sign_in
        self._folder = folder
        self._started: list[ServiceProcess] = []

    def start(self, *options: str, **settings: str) -> ServiceProcess:
        """Return a service that is starting; settings are environment variables."""
        environment = {
            "DATABASE_URL": self._workshop.database_url,
            "CLERK_ISSUER": self._sign_in.url,
            "ALLOWED_ORIGINS": ORIGIN,
            "API_PORT": "0",
            **self._workshop.settings,
            **settings,
        }
        log = self._folder / f"service-{len(self._started)}.log"
        made = ServiceProcess(["serve", *options], log, environment)
        self._started.append(made)
        return made

    async def ready(self, *options: str, **settings: str) -> ServiceProcess:
        """Return a service that answers."""
        return await self.start(*options, **settings).ready()

    def close(self) -> None:
        """Kill all of them."""
        for service in self._started:
            service.thaw()
            service.kill()
