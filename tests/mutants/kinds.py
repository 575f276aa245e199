"""Which mutants there are: read from the catalogue, so that a new policy brings its own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.mutants import functions, policies, privileges, tables
from tests.mutants.mutant import Mutant


@dataclass(frozen=True)
class Kind:
    """How mutants of one kind are made, and how many there are at least."""

    make: Callable[[Any], Awaitable[list[Mutant]]]
    at_least: int


KINDS = {
    "policies": Kind(policies.policies, 200),
    "row-level security": Kind(tables.security, 12),
    "defaults": Kind(tables.defaults, 50),
    "triggers": Kind(tables.triggers, 14),
    "conditions of views": Kind(tables.views, 10),
    "checks of functions": Kind(functions.checks, 100),
    "constraints": Kind(tables.constraints, 60),
    "rights on tables": Kind(privileges.relations, 500),
    "rights on columns": Kind(privileges.columns, 2600),
    "rights on schemas": Kind(privileges.schemas, 15),
    "rights on functions": Kind(privileges.functions, 650),
    "rights of functions": Kind(functions.attributes, 260),
}
