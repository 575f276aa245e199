"""A mutant: one thing of a migrated database that somebody broke."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """What is broken, by which statements of a superuser, and what it is about."""

    name: str
    sql: str
    words: frozenset[str]
    """Checks that speak of the same are asked first."""
    by_rules: bool
    """Whether a rule that reads the catalogue is enough; else somebody's deed has to end wrongly."""


def mutant(name: str, sql: str, *, about: str | None = None, by_rules: bool = False) -> Mutant:
    """Return the mutant; what it is about is read from its name, or from `about`."""
    return Mutant(name, sql, words_of(name if about is None else about), by_rules)


def words_of(text: str) -> frozenset[str]:
    """Return the names in the text, lower case, whole and in their parts."""
    found = re.findall(r"[a-z_0-9]+", text.lower())
    return frozenset(found) | {part for word in found for part in word.split("_")}
