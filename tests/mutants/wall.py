"""The wall: the suite's own tests of the database, each with one set of its parameters."""

import hashlib
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests import db
from tests.mutants import outside
from tests.mutants.mutant import words_of

# The database of a trial that stands in for a fixture; a test that needs another one is not asked.
GROUNDS = {
    "chat": "seeded",
    "empty_chat": "seeded",
    "catalogue": "seeded",
    "world": "filled",
    "unpinned": "unpinned",
    "guarded": "stored",
    "opened": "opened",
}
# A fixture that stands for others, in turn.
_EITHER = {"project": ("guarded", "opened")}
# They read the catalogue, and ask whether somebody wrote down what is there.
RULES = {"test_catalogue", "test_exact_rights"}
# So much of a check's parameters is in its name.
_SHOWN = 120
# Two commands of the matrix that are others without a filter.
_MEANS = {"overwrite": "update", "wipe": "delete"}


@dataclass(frozen=True)
class Check:
    """One test with one set of its parameters."""

    name: str
    test: Callable[..., Any]
    argument: str
    ground: str
    values: dict[str, Any] = field(compare=False)
    words: frozenset[str] = field(compare=False)
    """Of its name and parameters."""
    source: frozenset[str] = field(compare=False)
    """Of its body."""

    @property
    def id(self) -> str:
        """Return what no other check is called."""
        return f"{self.ground}: {self.name}"

    @cached_property
    def function(self) -> str:
        """Return the test's name without its parameters."""
        return self.name.partition("[")[0]

    @property
    def is_rule(self) -> bool:
        """Return whether it reads the catalogue, and nobody does anything."""
        return self.name.partition("::")[0] in RULES

    @property
    def is_awaited(self) -> bool:
        """Return whether the test is a coroutine; the others run in a thread."""
        return inspect.iscoroutinefunction(self.test)

    def bound(self, fixture: Any) -> Callable[[], Any]:
        """Return the test, ready to be called."""
        return partial(self.test, **{self.argument: fixture}, **self.values)


def checks() -> list[Check]:
    """Return the checks of all modules of tests/db whose fixtures a transaction can stand in for."""
    files = sorted(Path(str(db.__file__)).parent.glob("test_*.py"))
    names = [file.stem for file in files if not file.stem.endswith(tuple(outside.MODULES))]
    modules = [import_module(f"{db.__name__}.{name}") for name in names]
    return [check for module in modules for check in _of_module(module)]


def all_tests() -> set[tuple[str, str]]:
    """Return module and name of every test of the database, also of those that are left out."""
    return {
        (file.stem, name)
        for file in Path(str(db.__file__)).parent.glob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    }


def _of_module(module: ModuleType) -> Iterator[Check]:
    for name, test in vars(module).items():
        if name.startswith("test_") and inspect.isfunction(test) and name not in outside.TESTS:
            yield from _of_test(module, name, test)


def _of_test(module: ModuleType, name: str, test: Any) -> Iterator[Check]:
    marks = getattr(test, "pytestmark", [])
    sets = [_parameters(mark) for mark in marks if mark.name == "parametrize"]
    given = {key for options in sets for key in options[0]}
    needed = [key for key in inspect.signature(test).parameters if key not in given]
    grounds = [key for key in needed if key in {*GROUNDS, *_EITHER}]
    others = [_fixture_values(module, key) for key in needed if key not in grounds]
    if len(grounds) != 1 or None in others:
        return
    source = words_of(inspect.getsource(test))
    for chosen in itertools.product(*sets, *(found or [] for found in others)):
        values = {key: value for options in chosen for key, value in options.items()}
        shown = _shortened("-".join(str(value) for value in values.values()))
        label = f"{module.__name__.rpartition('.')[2]}::{name}" + (f"[{shown}]" if values else "")
        words = words_of(f"{module.__name__} {name} {shown}") | {
            _MEANS.get(it, it) for it in shown.split("-")
        }
        for ground in _EITHER.get(grounds[0], grounds):
            yield Check(label, test, grounds[0], GROUNDS[ground], values, words, source)


def _shortened(text: str) -> str:
    """Return a text of at most 120 letters that stands for no other one."""
    if len(text) <= _SHOWN:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: _SHOWN - 9]}…{digest}"


def _parameters(mark: Any) -> list[dict[str, Any]]:
    names, rows = mark.args
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    found = []
    for row in rows:
        values = row.values if type(row).__name__ == "ParameterSet" else None
        if values is None:
            values = (row,) if len(names) == 1 else row
        found.append(dict(zip(names, values, strict=True)))
    return found


def _fixture_values(module: ModuleType, name: str) -> list[dict[str, Any]] | None:
    """Return what a fixture of the module that needs nothing but its parameter may be, or None."""
    fixture: Any = getattr(module, name, None)
    marker = getattr(fixture, "_fixture_function_marker", None)
    if marker is None or not marker.params:
        return None
    make = fixture._get_wrapped_function()  # noqa: SLF001 (pytest has no public way)
    if list(inspect.signature(make).parameters) != ["request"]:
        return None
    return [{name: make(SimpleNamespace(param=param))} for param in marker.params]
