"""A running container: one command of the image as process 1, with a /tmp of its own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.images.image import Image
from tests.images.jail import hand_over
from tests.support.processes import AssistantsProcess

_READY = {"serve": "service.listening", "work": "wakeups.listening_started"}


class Container(AssistantsProcess):
    """Signals reach process 1, as a container runtime's do."""

    def __init__(self, image: Image, command: Sequence[str], given: Mapping[str, str]) -> None:
        self._image = image
        self._given = given
        self.ready_event = _READY[command[0]]
        self._folder = Path(tempfile.mkdtemp(prefix="supa-container-", dir="/tmp"))
        self._log = self._folder / "log"
        self.tmp = self._folder / "tmp"
        self.tmp.mkdir()
        hand_over(self.tmp)
        facts, write_facts = os.pipe()
        told = ("--info-fd", str(write_facts))
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                image.start(*image.entrypoint, *command, tmp=self.tmp, options=told),
                env=image.environment(given),
                pass_fds=[write_facts],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        os.close(write_facts)
        with os.fdopen(facts, encoding="utf-8") as said:
            self._first = int(json.load(said)["child-pid"])

    def signal(self, number: signal.Signals) -> None:
        """Process 1 of the container has been sent this signal, if it still lives."""
        if self.is_alive:
            os.kill(self._first, number)

    def asked(self) -> subprocess.CompletedProcess[str]:
        """Return what the image's health check says of this container."""
        return self._image.run(*self._image.health, tmp=self.tmp, given=self._given)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.thaw()
        self.kill()
        shutil.rmtree(self._folder)
