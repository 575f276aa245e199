"""The tables of tests/db/matrix, cell by cell."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.operations import Operation, operation

TABLES = ("personal", "organisation")
"""Whose rows they are about; each is a file."""

_SQLSTATE = 5
_FOLDER = Path(__file__).parents[1] / "db" / "matrix"


@dataclass(frozen=True)
class Cell:
    """One attempt, and how it must end."""

    whose: str
    rule: str
    table: str
    command: str
    group: str
    who: str
    expected: str
    """A number of rows, or the SQLSTATE of the refusal."""

    @property
    def id(self) -> str:
        return f"{self.whose}-{self.who}-{self.command}-{self.table}"

    @property
    def operation(self) -> Operation:
        return operation(self.table, self.command)

    @property
    def is_denied(self) -> bool:
        """Return whether nothing may come of it."""
        return self.expected == "0" or self.is_refused

    @property
    def is_refused(self) -> bool:
        """Return whether the answer is an error."""
        return len(self.expected) >= _SQLSTATE


def cells(*whose: str) -> list[Cell]:
    """Return the cells of these tables, of all without any; those that are denied come first."""
    found = [cell for name in whose or TABLES for cell in _of_table(name)]
    return sorted(found, key=lambda cell: not cell.is_denied)


def _of_table(whose: str) -> Iterator[Cell]:
    text = (_FOLDER / f"{whose}.txt").read_text(encoding="utf-8")
    _, groups, heading, *sections = text.split("\n\n")
    members = {name: who.split() for name, _, who in map(_partitioned, groups.splitlines())}
    for section in sections:
        rule, *rows = section.strip().splitlines()
        for row in rows:
            table, command, *results = row.split()
            for group, expected in zip(heading.split(), results, strict=True):
                for who in members[group]:
                    name = rule.removeprefix("# ")
                    yield Cell(whose, name, table, command, group, who, expected)


def _partitioned(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def rows(given: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Return the cells by the row that they stand in."""
    found: dict[str, list[Cell]] = {}
    for cell in given:
        found.setdefault(f"{cell.whose}-{cell.command}-{cell.table}", []).append(cell)
    return found
