"""What the doctor finds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold for the service to work, or had better hold."""

    name: str
    level: Level
    found: str
    """What is the case; never a secret."""
    advice: str = ""
    """What to do about it, a command or a page; empty where nothing is wrong."""

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done."""
        return self.level == "ok"


def holds(name: str, found: str) -> Check:
    """Return the finding that all is well."""
    return Check(name, "ok", found)


def warns(name: str, found: str, advice: str) -> Check:
    """Return the finding that messages are answered, but something is unsafe, slow or unknown."""
    return Check(name, "warn", found, advice)


def fails(name: str, found: str, advice: str) -> Check:
    """Return the finding that something is wrong, and what to do about it."""
    return Check(name, "fail", found, advice)


def any_failed(checks: Iterable[Check]) -> bool:
    """Return whether one of them is a failure; a warning is none."""
    return any(check.level == "fail" for check in checks)
