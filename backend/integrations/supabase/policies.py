"""The policies that the files promise, for comparison with those that the database has."""

import re
from pathlib import Path
from typing import TypeAlias

PolicyName: TypeAlias = tuple[str, str]
"""Table with schema, and the policy's sentence."""

_POLICY = re.compile(r'create\s+policy\s+"([^"]+)"\s+on\s+([a-z_.]+)', re.IGNORECASE)


def promised(folder: Path, files: str = "*.sql") -> set[PolicyName]:
    """Return the policies of these files below `policies`."""
    found: set[PolicyName] = set()
    for file in sorted((folder / "policies").glob(files)):
        found |= {(table, name) for name, table in _POLICY.findall(file.read_text("utf-8"))}
    return found
