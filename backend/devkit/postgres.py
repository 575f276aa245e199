"""One PostgreSQL server of our own, below a data folder."""

import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from backend.devkit import installation, placement, ports, postmaster
from backend.devkit.postmaster import Site
from backend.devkit.private_files import read_json, write_private_json
from backend.devkit.process import ProcessId, identify, stop
from backend.errors import LocalStackFailed

SUPERUSER = "supabase_admin"

_STOP_S = 30.0
_LAUNCHES = 3
_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    # A statement's error may quote what a user wrote; its caller gets it, the log does not.
    "log_min_error_statement": "panic",
    # As on Supabase's disks; with the default the planner sorts pages that an index holds in order.
    "random_page_cost": "1.1",
    "log_min_messages": "log",
}


class Cluster:
    """A PostgreSQL server on the loopback address whose data survives a restart.

    Runs as `nobody` when this process is root. The passwords are random and lie in the data
    folder, readable by its owner only.
    """

    def __init__(
        self,
        data: Path,
        *,
        major: int | None = None,
        settings: Mapping[str, str] | None = None,
        ends_with_parent: bool = False,
    ) -> None:
        """Nothing is started; the data folder exists.

        Args:
            data: The data folder; made when missing.
            major: 15, 16 or 18; None takes what the data was made with, else the newest.
            settings: Server settings on top of the defaults, such as `{"fsync": "off"}`.
            ends_with_parent: The server stops when the thread that started it is gone.
        """
        data.mkdir(parents=True, exist_ok=True)
        self.data = data.resolve()
        self.port = 0
        self._settings = {**_SETTINGS, **(settings or {})}
        self._ends_with_parent = ends_with_parent
        self._process: ProcessId | None = None
        self._launched: subprocess.Popen[bytes] | None = None
        account = installation.server_account()
        self._home = placement.cluster_home(self.data, account)
        self.major = self._stored_major() or major or installation.NEWEST
        (self.data / "logs").mkdir(exist_ok=True)
        self._site = Site(
            installation=installation.find(self.major),
            account=account,
            pgdata=self._home / "pgdata",
            log=self.data / "logs" / "postgres.log",
        )

    def start(self) -> None:
        """The server accepts connections; its files are made when this is the first start.

        Raises:
            LocalStackFailed: A server runs here already, or it did not start; says why.
        """
        placement.prune_orphans()
        if placement.running_server(self._site.pgdata):
            raise LocalStackFailed(f"A database server already runs on {self._site.pgdata}")
        placement.release_lock(self._site.pgdata)
        if self._stored_major() is None:
            durable = self._settings.get("fsync") != "off"
            password = self.password(SUPERUSER)
            postmaster.make_data_directory(self._site, SUPERUSER, password, durable=durable)
        # Another program may take the port in between, or the last server's backends still end.
        for _ in range(_LAUNCHES):
            if self._launch():
                return
            time.sleep(0.3)
        raise LocalStackFailed(f"PostgreSQL did not start: {self._last_words()}")

    def stop(self) -> None:
        """The server has ended, its sockets with it; open connections were cut."""
        process = self.process
        if process is not None:
            stop(process, patience_s=_STOP_S, first=signal.SIGINT)
        if self._launched:
            self._launched.wait()
        placement.discard_socket_folder(self._home)
        self._process = None

    def restart(self) -> None:
        """The server has ended and accepts connections again, on the same port if that is free."""
        self.stop()
        self.start()

    @property
    def process(self) -> ProcessId | None:
        """Return the server's main process if it runs, whoever started it."""
        if self._process is None:
            self._process = placement.running_server(self._site.pgdata)
        return self._process if self._process and self._process.is_alive else None

    @property
    def is_running(self) -> bool:
        """Return whether the server's main process runs."""
        return self.process is not None

    def url(self, role: str = "postgres", database: str = "postgres") -> str:
        """Return a connection URL with the role's password, for any PostgreSQL client."""
        login = f"{quote(role)}:{quote(self.password(role))}"
        return f"postgresql://{login}@{ports.LOOPBACK}:{self.port}/{quote(database)}"

    def password(self, role: str) -> str:
        """Return the role's password, drawn at the first call.

        It opens the database once `set_passwords` has run for that role.
        """
        path = self.data / "passwords.json"
        known = read_json(path)
        if role not in known:
            known[role] = secrets.token_urlsafe(24)
            write_private_json(path, known)
        return str(known[role])

    def set_passwords(self, *roles: str) -> None:
        """Each of these roles logs in with its password of `url`."""
        statements = [f"alter role {role} password '{self.password(role)}';" for role in roles]
        self.execute("\n".join(statements))

    def execute(self, sql: str, *, database: str = "postgres", role: str = SUPERUSER) -> str:
        """Return what psql prints for these statements, unaligned and without headings.

        Raises:
            LocalStackFailed: A statement failed; the ones before it are kept.
        """
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        target = ["-h", ports.LOOPBACK, "-p", str(self.port), "-U", role, database]
        done = subprocess.run(
            [self._site.installation.program("psql"), *options, *target],
            input=sql,
            env={"PGPASSWORD": self.password(role), "PGCONNECT_TIMEOUT": "10"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LocalStackFailed(f"The database refused a statement: {done.stderr.strip()}")
        return done.stdout.strip()

    def _launch(self) -> bool:
        port_file = self.data / "postgres.port"
        remembered = int(port_file.read_text(encoding="utf-8")) if port_file.exists() else None
        self.port = ports.choose(remembered)
        port_file.write_text(str(self.port), encoding="utf-8")
        sockets = placement.socket_folder(self._home, self._site.account)
        place = {"port": str(self.port), "unix_socket_directories": str(sockets)}
        server = postmaster.launch(
            self._site, {**self._settings, **place}, ends_with_parent=self._ends_with_parent
        )
        self._launched = server
        self._process = identify(server.pid)
        if postmaster.is_ready(server, self._site.pgdata):
            return True
        server.kill()
        server.wait()
        return False

    def _stored_major(self) -> int | None:
        version = self._home / "pgdata" / "PG_VERSION"
        return int(version.read_text(encoding="utf-8")) if version.exists() else None

    def _last_words(self) -> str:
        lines = self._site.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(lines[-3:])
