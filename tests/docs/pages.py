"""The documents, and what can be checked in them."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DATA_MODEL = ROOT / "docs" / "data-model.md"
DEPLOY = ROOT / "docs" / "deploy.md"
RUNBOOK = ROOT / "docs" / "runbook.md"
STREAMS = ROOT / "docs" / "streams.md"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)|\bsrc(?:set)?=\"([^\"]+)\"")


def pages() -> list[Path]:
    """Return every document."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """Return the page's blocks in that language, in their order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [code for name, code in found if name == language]


def program(page: Path, language: str) -> str:
    """Return the page's blocks in that language as one program."""
    return "\n".join(blocks(page, language))


def rows_below(page: Path, heading: str) -> list[str]:
    """Return the first code-quoted word of each row of the table below that heading."""
    section = page.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def names_in(page: Path) -> set[str]:
    """Return what the page quotes that looks like an event of the log, or a code of an error."""
    return set(re.findall(r"`([a-z]+(?:[._][a-z]+)+)`", page.read_text(encoding="utf-8")))


def broken_links(page: Path) -> Iterator[str]:
    """Yield the links to files and headings of this repository that lead nowhere."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for inline, source in _LINK.findall(prose):
        target, _, anchor = (inline or source).partition("#")
        if "://" in target:
            continue
        file = (page.parent / target) if target else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            yield f"{page.relative_to(ROOT)}: {inline or source}"


def _anchors(file: Path) -> set[str]:
    headings = _HEADING.findall(_BLOCK.sub("", file.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", it.lower()).strip().replace(" ", "-") for it in headings}
