"""What a docstring in Google's form says of a function and of its parameters."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns|Raises|Yields|Example|Examples|Note|Source):\s*$"
)
_PARAMETER = re.compile(r"^(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a docstring."""

    summary: str
    """All above the first section."""
    parameters: Mapping[str, str]


def read(function: Callable[..., Any]) -> Said:
    """Return what the function's docstring says; nothing of what it does not say."""
    lines = (inspect.getdoc(function) or "").splitlines()
    starts = [number for number, line in enumerate(lines) if _SECTION.match(line)]
    summary = lines[: starts[0]] if starts else lines
    parameters: dict[str, str] = {}
    for start in starts:
        if lines[start].startswith(("Args", "Arguments", "Parameters")):
            parameters |= _parameters(lines[start + 1 :])
    return Said("\n".join(summary).strip(), parameters)


def _parameters(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    name, indent = "", None
    for line in lines:
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            break
        indent = depth if indent is None else indent
        named = _PARAMETER.match(line.strip()) if depth == indent else None
        if named:
            name = named[1]
            found[name] = named[2]
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
