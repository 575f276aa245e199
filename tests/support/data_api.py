"""The local Data API in front of one test's database."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from backend.devkit import data_api, keys, ports
from backend.devkit.data_api import DataApi
from backend.devkit.folder import StackFolder
from backend.devkit.issuer import jwks_url
from backend.devkit.keys import ProjectKeys
from tests.support.cluster import Database
from tests.support.processes import until
from tests.support.service import SignIn, open_sign_in


@dataclass(frozen=True)
class Project:
    """What somebody knows of a hosted project: a URL, two keys, and who issues tokens."""

    url: str
    keys: ProjectKeys
    sign_in: SignIn
    _command: Sequence[str]
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """The Data API is starting."""
        environment = data_api.environment(os.environ)
        started = subprocess.Popen(self._command, env=environment, stdin=subprocess.DEVNULL)
        self._running.append(started)

    def kill(self) -> None:
        """The Data API is gone at once; the database stays."""
        self._running[-1].kill()
        self._running.pop().wait()

    def signal(self, number: signal.Signals) -> None:
        """The Data API has been sent this signal."""
        self._running[-1].send_signal(number)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of a worker or a service that has no database login."""
        return {
            "SUPABASE_URL": self.url,
            "SUPABASE_PUBLISHABLE_KEY": self.keys.publishable_key,
            "SUPABASE_SECRET_KEY": self.keys.secret_key,
            "CLERK_ISSUER": self.sign_in.url,
            "REALTIME_BROADCAST": "off",
        }


@contextmanager
def open_project(database: Database) -> Iterator[Project]:
    """Yield the project of this database; its processes are gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="supa-project-") as name,
        open_sign_in() as sign_in,
    ):
        folder = StackFolder(Path(name))
        port = ports.choose(None)
        told = DataApi(
            port=port,
            database_url=database.url("authenticator"),
            catalogue_url=database.url("postgres"),
            issuer_url=sign_in.url,
            jwks_url=jwks_url(sign_in.url),
            keys=keys.load(folder.keys),
        )
        project = Project(f"http://127.0.0.1:{port}", told.keys, sign_in, told.write(folder))
        project.start()
        try:
            yield project
        finally:
            project.kill()


async def is_served(project: Project) -> None:
    """The Data API answers."""
    async with httpx.AsyncClient(base_url=project.url) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/rest-admin/v1/ready")).is_success
            except httpx.HTTPError:
                return False

        await until(answers)


async def is_known(project: Project, function: str) -> None:
    """The Data API has noticed this function, which takes nothing."""
    headers = {"apikey": project.keys.secret_key}
    async with httpx.AsyncClient(base_url=project.url, headers=headers) as client:

        async def knows() -> bool:
            return (await client.post(f"/rest/v1/rpc/{function}", json={})).is_success

        await until(knows)
