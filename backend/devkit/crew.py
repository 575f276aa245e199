"""The processes that a supervisor keeps alive."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from backend.devkit.child import Child
from backend.devkit.interruption import Interruption
from backend.devkit.process import ProcessId
from backend.errors import LocalStackFailed

_RESTART_AFTER_S = 1.0
_POLL_S = 0.02


@dataclass
class Crew:
    """Children in the order in which they were started."""

    interruption: Interruption
    say: Callable[[str], None]
    _children: list[Child] = field(default_factory=list)
    _died_at: dict[str, float] = field(default_factory=dict)

    def start(self, child: Child) -> None:
        """The child runs and belongs to the crew."""
        child.start()
        self._children.append(child)

    @property
    def processes(self) -> dict[str, ProcessId]:
        """Return the running ones by name."""
        running = ((child.name, child.process) for child in self._children)
        return {name: process for name, process in running if process}

    def check_alive(self) -> None:
        """Raise if a child has ended by itself.

        Raises:
            LocalStackFailed: It has; the message is the last that it said.
        """
        for child in self._children:
            if child.process is None:
                raise LocalStackFailed(f"{child.name} ended at once: {child.last_words()}")

    def revive(self, now_s: float) -> bool:
        """Return whether a child that died a second ago was started again."""
        dead = [child for child in self._children if child.process is None]
        due = [child for child in dead if self._is_due(child, now_s)]
        for child in due:
            del self._died_at[child.name]
            child.start()
            self.say(f"{child.name} runs again")
        return bool(due)

    def restart(self) -> None:
        """Every child was stopped and started anew, and so asked for its command again."""
        children = list(self._children)
        self.stop(children, patience_s=5)
        for child in children:
            self.start(child)

    def rotate_logs(self) -> None:
        """No log is much longer than its limit."""
        for child in self._children:
            child.rotate_log()

    def stop_all(self, patience_s: Mapping[tuple[str, ...], float]) -> None:
        """Every child has ended, group by group.

        Args:
            patience_s: How long the children of a group may take after SIGTERM; a group is
                what their names begin with.
        """
        for group, seconds in patience_s.items():
            named = [child for child in self._children if child.name.startswith(group)]
            self.stop(named, patience_s=seconds)

    def stop(self, children: Sequence[Child], *, patience_s: float) -> None:
        """These children have ended and left the crew."""
        for child in children:
            _send(child, signal.SIGTERM)
        deadline = time.monotonic() + patience_s
        while any(child.process for child in children):
            if time.monotonic() > deadline or self.interruption.is_hurried:
                break
            time.sleep(_POLL_S)
        for child in children:
            _send(child, signal.SIGKILL)
            child.reap()
            self._children.remove(child)

    def _is_due(self, child: Child, now_s: float) -> bool:
        if child.name not in self._died_at:
            self._died_at[child.name] = now_s
            self.say(f"{child.name} ended: {child.last_words()}")
        return now_s - self._died_at[child.name] >= _RESTART_AFTER_S


def _send(child: Child, number: signal.Signals) -> None:
    process = child.process
    if process is not None:
        os.kill(process.pid, number)
