"""Reads the Dockerfile and .dockerignore, so that no test says again what stands there."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_KNOWN = {"FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "EXPOSE", "STOPSIGNAL"}
_FINAL = {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]

    def one(self, instruction: str) -> str:
        (found,) = self.all(instruction)
        return found

    def command(self, instruction: str) -> list[str]:
        """Return a command in its JSON form, the only one that takes signals."""
        found: list[str] = json.loads(self.one(instruction))
        return found

    def environment(self, base_path: str) -> dict[str, str]:
        pairs = (pair for rest in self.all("ENV") for pair in rest.split())
        found = dict(pair.split("=", 1) for pair in pairs)
        return {name: value.replace("$PATH", base_path) for name, value in found.items()}


def stages() -> list[Stage]:
    """Return the stages in their order; an instruction that we cannot read fails the test."""
    found: list[Stage] = []
    for name, rest in _instructions((ROOT / "Dockerfile").read_text("utf-8")):
        if name not in _KNOWN | _FINAL:
            raise AssertionError(f"the tests cannot read {name}")
        if name == "FROM":
            found.append(Stage(rest.split()[0]))
        else:
            found[-1].steps.append((name, rest))
    return found


def health(stage: Stage) -> tuple[dict[str, str], list[str]]:
    """Return the options of the health check, and its command."""
    options, _, command = stage.one("HEALTHCHECK").partition(" CMD ")
    return dict(option.removeprefix("--").split("=") for option in options.split()), json.loads(
        command
    )


def copy_context(places: str, target: Path) -> None:
    """What `COPY places` takes from the checkout lies below `target`."""
    *sources, goal = places.split()
    for source in sources:
        taken = [path for path in context() if path.is_relative_to(source)]
        if not taken:
            raise AssertionError(f"COPY {source}: .dockerignore leaves nothing of it")
        for path in taken:
            whole = (ROOT / source).is_dir()
            put = target / goal / (path.relative_to(source) if whole else path.name)
            put.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, put)


def context() -> Iterator[Path]:
    """Yield the files that are sent to the build, relative to the checkout."""
    rules = _rules()
    for folder, folders, files in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        # Everything is left out but what is named, so no folder that is left out has something.
        folders[:] = [name for name in folders if _is_sent(here / name, rules)]
        yield from (here / name for name in files if _is_sent(here / name, rules))


def _rules() -> list[tuple[bool, re.Pattern[str]]]:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    return [(rule.startswith("!"), _pattern(rule.removeprefix("!"))) for rule in rules]


def _pattern(rule: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", rule)
    written = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(written.get(part, re.escape(part)) for part in parts))


def _is_sent(path: Path, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    places = [path.as_posix(), *(parent.as_posix() for parent in path.parents[:-1])]
    sent = True
    for says_yes, pattern in rules:
        if any(pattern.fullmatch(place) for place in places):
            sent = says_yes
    return sent


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        yield name, rest.strip()
