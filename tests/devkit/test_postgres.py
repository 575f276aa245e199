"""A server of one's own: where its files go, which port it takes, and who may enter."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from backend.devkit import placement
from backend.devkit.ports import LOOPBACK
from backend.devkit.postgres import Cluster
from backend.errors import LocalStackFailed
from tests.support.stack import ROOT

QUICK = {"fsync": "off"}


@pytest.fixture
def folder() -> Iterator[Path]:
    # Mode 0700: another account, which root's server needs, cannot enter it.
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    yield made
    shutil.rmtree(made)
    placement.prune_orphans()


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder, settings=QUICK)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def test_a_server_keeps_its_data_and_takes_another_port_when_its_own_is_taken(folder: Path) -> None:
    with started(folder) as first:
        first.execute("create table kept as select 7 as number")

    with socket.create_server((LOOPBACK, first.port)), started(folder) as second:
        assert second.port != first.port
        assert second.execute("select number from kept") == "7"


def test_a_folder_has_one_server(folder: Path) -> None:
    with started(folder), pytest.raises(LocalStackFailed, match="already runs"):
        Cluster(folder, settings=QUICK).start()


def test_a_server_whose_main_process_was_killed_starts_again(folder: Path) -> None:
    with started(folder) as cluster:
        assert cluster.process
        os.kill(cluster.process.pid, signal.SIGKILL)
        cluster.restart()

        assert cluster.execute("select 1") == "1"


def test_a_long_path_gets_a_socket_elsewhere(folder: Path) -> None:
    folder.chmod(0o711)
    deep = folder / ("long" * 30)

    with started(deep) as cluster:
        sockets = Path(cluster.execute("show unix_socket_directories"))
        assert cluster.execute("select 1") == "1"

    assert not sockets.exists()


async def test_nobody_enters_without_the_password(folder: Path) -> None:
    with started(folder) as cluster:
        sockets = cluster.execute("show unix_socket_directories")
        for host in (LOOPBACK, sockets):
            for password in ("", "guess"):
                with pytest.raises((asyncpg.PostgresError, asyncpg.InternalClientError)):
                    await asyncpg.connect(
                        host=host, port=cluster.port, user="supabase_admin", password=password
                    )


def test_what_is_secret_is_readable_by_its_owner_only(folder: Path) -> None:
    with started(folder) as cluster:
        home = Path(cluster.execute("show data_directory"))

    assert (folder / "passwords.json").stat().st_mode & 0o077 == 0
    assert home.stat().st_mode & 0o077 == 0


def test_no_server_survives_the_test_process_that_started_it(folder: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from backend.devkit.postgres import Cluster\n"
        "made = Cluster(Path(sys.argv[1]), settings={'fsync': 'off'}, ends_with_parent=True)\n"
        "made.start(); print(made.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        server = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

    assert not psutil.wait_procs([server], timeout=20)[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_a_vanished_folders_server_is_stopped_and_removed() -> None:
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    cluster = Cluster(made, settings=QUICK)
    cluster.start()
    assert cluster.process
    home = Path(cluster.execute("show data_directory")).parent
    shutil.rmtree(made)

    placement.prune_orphans()

    assert not cluster.is_running
    assert not home.exists()
    cluster.stop()
