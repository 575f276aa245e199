"""Boolean expressions as PostgreSQL prints them, with one of their conditions left out."""

import re
from collections.abc import Iterator

_CONNECTIVE = re.compile(r" (AND|OR)\s+")


def without_one(expression: str) -> Iterator[tuple[str, str]]:
    """Yield each condition of an `and` or `or`, and the expression that lacks it.

    PostgreSQL prints parentheses around each of them, so a pair of parentheses holds conditions if
    it holds a connective that is in no inner pair.
    """
    for start, end in _groups(expression):
        parts = _parts(expression[start:end])
        for number, part in enumerate(parts):
            rest = parts[:number] + parts[number + 1 :]
            if not rest:
                continue
            # The first part brings no connective; the second one's goes with it.
            kept = "".join(joint + text for joint, text in rest)
            kept = kept.removeprefix(rest[0][0])
            shown = " ".join(part[1].split())
            yield shown, expression[:start] + kept + expression[end:]


def _groups(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the inside of each pair of parentheses starts and ends."""
    opened: list[int] = []
    quoted = False
    for place, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif letter == "(" and not quoted:
            opened.append(place + 1)
        elif letter == ")" and not quoted:
            yield opened.pop(), place


def _parts(text: str) -> list[tuple[str, str]]:
    """Return the conditions of this level, each with the connective before it."""
    places = [found for found in _CONNECTIVE.finditer(text) if _is_top(text, found.start())]
    starts = [0, *(found.end() for found in places)]
    ends = [*(found.start() for found in places), len(text)]
    joints = ["", *(found.group() for found in places)]
    if places and re.search(r"\b(SELECT|WHERE|FROM|CASE|BETWEEN)\b", _top(text)):
        return [("", text)]  # its conditions are in parentheses of their own
    return [(joint, text[a:b]) for joint, a, b in zip(joints, starts, ends, strict=True)]


def _top(text: str) -> str:
    """Return what is in no inner parentheses."""
    while True:
        shorter = re.sub(r"\([^()]*\)", " ", text)
        if shorter == text:
            return text
        text = shorter


def _is_top(text: str, place: int) -> bool:
    before = re.sub(r"'[^']*'", lambda found: "x" * len(found.group()), text)[:place]
    return before.count("(") == before.count(")")
