"""PgBouncer in transaction mode, as hosted projects have one in front of their database."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from tests.support.cluster import missing
from tests.support.processes import until

_PROGRAM = "/usr/sbin/pgbouncer"
_CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = {auth_type}
auth_file = {users}
{auth_query}
pool_mode = transaction
default_pool_size = 4
max_client_conn = 100
server_reset_query =
logfile = {log}
"""


@contextmanager
def transaction_pooler(url: str) -> Iterator[str]:
    """Yield the URL of the same login and database through a pooler of four connections."""
    with _pooler(url, {"auth_type": "plain", "auth_query": ""}) as pooled:
        yield pooled


@contextmanager
def pooler_of_all_logins(superuser_url: str) -> Iterator[str]:
    """Yield the host and port of a pooler that takes each login of the server, also new ones.

    Args:
        superuser_url: Of a login that may read the verifiers of passwords.
    """
    who = urlsplit(superuser_url).username
    query = (
        f"auth_user = {who}\nauth_query = select usename, passwd from pg_shadow where usename = $1"
    )
    with _pooler(superuser_url, {"auth_type": "scram-sha-256", "auth_query": query}) as pooled:
        yield urlsplit(pooled).netloc.rpartition("@")[2]


@contextmanager
def _pooler(url: str, auth: dict[str, str]) -> Iterator[str]:
    if not Path(_PROGRAM).exists():
        missing("pgbouncer is not installed")
    target = urlsplit(url)
    with tempfile.TemporaryDirectory(prefix="supa-pooler-") as name:
        folder = Path(name)
        port = _free_port()
        users, config = folder / "users.txt", folder / "pgbouncer.ini"
        users.write_text(f'"{target.username}" "{unquote(target.password or "")}"\n', "utf-8")
        places = {"host": target.hostname, "port": target.port, "listen_port": port, **auth}
        text = _CONFIG.format(**places, users=users, log=folder / "pooler.log")
        config.write_text(text, "utf-8")
        with _running(config, folder):
            login = target.netloc.rpartition("@")[0]
            yield urlunsplit(target._replace(netloc=f"{login}@127.0.0.1:{port}"))


async def answers(url: str) -> None:
    """The pooler accepts connections."""

    async def connects() -> bool:
        try:
            connection = await asyncpg.connect(url, statement_cache_size=0)
        except OSError:
            return False
        await connection.close()
        return True

    await until(connects)


@contextmanager
def _running(config: Path, folder: Path) -> Iterator[None]:
    account = None
    if os.geteuid() == 0:
        # PgBouncer refuses to run as root.
        account = pwd.getpwnam("nobody").pw_uid
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, account)
    process = subprocess.Popen(
        [_PROGRAM, "-q", str(config)], user=account, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
