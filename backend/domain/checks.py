"""What the doctor finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold for the service to work."""

    name: str
    ok: bool
    found: str
    """What is the case; never a secret."""
    advice: str = ""
    """What to do about it; empty where nothing is wrong."""


def holds(name: str, found: str) -> Check:
    """Return the finding that all is well."""
    return Check(name, ok=True, found=found)


def fails(name: str, found: str, advice: str) -> Check:
    """Return the finding that something is wrong, and what to do about it."""
    return Check(name, ok=False, found=found, advice=advice)
