"""The stack's database: a cluster that holds what a Supabase project has before its migrations."""

from collections.abc import Callable
from pathlib import Path

from backend.devkit.data_api import PROGRAM
from backend.devkit.postgres import Cluster
from backend.devkit.process import ProcessId
from backend.errors import LocalStackFailed

_PRELUDE = PROGRAM / "prelude.sql"
_SERVICE = "assistants_service"
_RESTART_AFTER_S = 1.0


class Database:
    """The cluster of a data folder, with one database `postgres`."""

    def __init__(self, data: Path) -> None:
        self._cluster = Cluster(data)
        self._told_port = 0
        self._died_at_s: float | None = None

    def start(self) -> None:
        """The database answers; roles, schemas and passwords are in place.

        Raises:
            LocalStackFailed: PostgreSQL is missing or did not start; says why.
        """
        if not _PRELUDE.exists():
            raise LocalStackFailed("The local stack needs a checkout, not an installed package.")
        self._cluster.start()
        self._told_port = self._cluster.port
        self._cluster.execute(_PRELUDE.read_text(encoding="utf-8"))
        self._cluster.set_passwords("postgres", "authenticator")

    def stop(self) -> None:
        """The server has ended."""
        self._cluster.stop()

    def revive(self, now_s: float, say: Callable[[str], None]) -> bool:
        """Return whether the server had died a second ago and was started again."""
        if self._cluster.is_running:
            self._died_at_s = None
            return False
        if self._died_at_s is None:
            self._died_at_s = now_s
            say("PostgreSQL ended")
        if now_s - self._died_at_s < _RESTART_AFTER_S:
            return False
        try:
            self._cluster.restart()
        except LocalStackFailed as error:
            self._died_at_s = now_s
            say(str(error))
            return False
        say("PostgreSQL runs again")
        return True

    def take_move(self) -> bool:
        """Return whether the port is another one than at the last call or start."""
        moved = self._told_port != self._cluster.port
        self._told_port = self._cluster.port
        return moved

    @property
    def major(self) -> int:
        """Return the major version."""
        return self._cluster.major

    @property
    def process(self) -> ProcessId | None:
        """Return the server's main process if it runs."""
        return self._cluster.process

    @property
    def owner_url(self) -> str:
        """Return the login that migrates; it is no superuser."""
        return self._cluster.url("postgres")

    @property
    def authenticator_url(self) -> str:
        """Return the login that becomes whom a token names."""
        return self._cluster.url("authenticator")

    @property
    def service_url(self) -> str:
        """Return the service's own login."""
        return self._cluster.url(_SERVICE)

    @property
    def service_password(self) -> str:
        """Return the password that the service's login shall get."""
        return self._cluster.password(_SERVICE)
