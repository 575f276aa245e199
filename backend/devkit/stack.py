"""The whole local stack: database, issuer, Data API, service and workers as one thing."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from backend.devkit import data_api, keys, tokens
from backend.devkit.child import Child, Program
from backend.devkit.crew import Crew
from backend.devkit.database import Database
from backend.devkit.folder import StackFolder
from backend.devkit.interruption import Interruption
from backend.devkit.issuer import Issuer
from backend.devkit.parts import Parts
from backend.devkit.portbook import PortBook
from backend.devkit.preparation import Preparation
from backend.devkit.private_files import write_private_json
from backend.devkit.probe import answers
from backend.devkit.process import identify
from backend.errors import LocalStackFailed

_READY_S = 60.0
_POLL_S = 0.03
_WATCH_S = 0.25
# In the order in which they stop; a worker finishes what it has begun, for 25 s by default.
_PATIENCE_S = {("worker", "service"): 35.0, ("data_api",): 5.0}


@dataclass(frozen=True)
class Composition:
    """What the stack runs but does not know, given by the composition root."""

    prepare: Callable[[str, str, str, bool], None]
    """Migrates and makes the login of the service: (owner's URL, its password, whose tokens count,
    seed as well)."""
    serve: list[str]
    """The command of the HTTP service."""
    work: list[str]
    """The command of a worker."""


@dataclass(frozen=True)
class Wishes:
    """What the caller asked for."""

    workers: int = 1
    supabase_port: int | None = None
    api_port: int | None = None
    workplace: Path | None = None
    """Where relative paths in the settings of service and workers begin."""


@dataclass
class Stack:
    """A local stack in one data folder; this process is its supervisor."""

    folder: StackFolder
    composition: Composition
    wishes: Wishes
    interruption: Interruption
    say: Callable[[str], None]
    _issuer: Issuer | None = None
    _preparation: Preparation | None = None

    def __post_init__(self) -> None:
        """Nothing is started."""
        self._database = Database(self.folder.path)
        self._crew = Crew(self.interruption, self.say)
        project = keys.load(self.folder.keys)
        self._parts = Parts(self.folder, self._database, project, self.wishes.workplace)

    def start(self) -> dict[str, Any]:
        """Return what `stack.json` now says; every part answers.

        Raises:
            LocalStackFailed: A part did not start, or somebody interrupted; nothing is left.
        """
        try:
            self._start_parts()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self._note_processes()

    def watch(self) -> None:
        """Return when somebody asks to stop; until then what dies is started again."""
        while not self.interruption.wait(_WATCH_S):
            now_s = time.monotonic()
            revived = self._database.revive(now_s, self.say)
            if revived and self._database.take_move():
                self._crew.restart()
            if self._crew.revive(now_s) or revived:
                self._note_processes()
            self._crew.rotate_logs()

    def stop(self) -> None:
        """Nothing runs any more, and the notes of what ran are gone; the data stays."""
        if self._preparation:
            self._preparation.abandon()
        self._crew.stop_all(_PATIENCE_S)
        if self._issuer:
            self._issuer.stop()
        self._database.stop()
        self.folder.stack.unlink(missing_ok=True)
        self.folder.data_api.unlink(missing_ok=True)
        self.folder.write_processes({})

    def _start_parts(self) -> None:
        self._note_running()
        self._database.start()
        self._note_running()
        self.say(f"PostgreSQL {self._database.major} accepts connections")
        self._take_ports()
        # Forked before the issuer's thread exists.
        self._preparation = Preparation(self._prepare)
        self._start_issuer()
        self._start_child("data_api", self._parts.data_api)
        self._preparation.finish()
        self.folder.seeded.touch()
        self.say("the schema is up to date")
        self._start_child("service", partial(self._parts.service, self.composition.serve))
        for number in range(1, self.wishes.workers + 1):
            worker = partial(self._parts.worker, self.composition.work)
            self._start_child(f"worker_{number}", worker)

    def _prepare(self) -> None:
        is_first = not self.folder.seeded.exists()
        database = self._database
        issuer = self._parts.url("issuer")
        self.composition.prepare(database.owner_url, database.service_password, issuer, is_first)

    def _take_ports(self) -> None:
        book = PortBook(self.folder.ports)
        self._parts.ports = {
            "issuer": book.take("issuer"),
            "data_api": book.take("data_api", self.wishes.supabase_port),
            "service": book.take("service", self.wishes.api_port),
        }

    def _start_issuer(self) -> None:
        key = tokens.load_key(self.folder.issuer_key)
        self._issuer = Issuer(key, self._parts.ports["issuer"])
        self._issuer.start()

    def _start_child(self, name: str, program: Callable[[], Program]) -> None:
        self.interruption.check()
        self._crew.start(Child(name, program, self.folder.logs / f"{name}.log"))
        self._note_running()

    def _wait_until_ready(self) -> None:
        self._wait_for("data_api", data_api.READY_PATH)
        self.say(f"the Data API answers at {self._parts.url('data_api')}")
        # Ready means that a worker is connected, too.
        self._wait_for("service", "/readyz" if self.wishes.workers else "/healthz")
        self.say(f"the service and {self.wishes.workers} worker(s) are ready")

    def _wait_for(self, name: str, path: str) -> None:
        deadline = time.monotonic() + _READY_S
        while not answers(self._parts.ports[name], path):
            self.interruption.check()
            self._crew.check_alive()
            if time.monotonic() > deadline:
                log = self.folder.logs / f"{name}.log"
                raise LocalStackFailed(f"{name} was not ready after {_READY_S:.0f} s: see {log}")
            self.interruption.wait(_POLL_S)

    def _note_running(self) -> None:
        processes = {"supervisor": identify(os.getpid()), **self._crew.processes}
        if self._database.process:
            processes["postgres"] = self._database.process
        self.folder.write_processes(processes)

    def _note_processes(self) -> dict[str, Any]:
        self._note_running()
        pids = {name: process.pid for name, process in self.folder.read_processes().items()}
        description = {**self._parts.describe(), "pids": pids}
        write_private_json(self.folder.stack, description)
        return description
