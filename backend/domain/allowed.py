"""Which models the operator's list allows: one by one, or all that begin alike."""

import re
from collections.abc import Iterable, Sequence

_MODEL = re.compile(r"[a-z0-9_-]+:\S{1,200}")
_ANY = "*"


def is_allowed(model: str, entries: Iterable[str]) -> bool:
    """Return whether a model is one of them, or begins as one that ends with `*`."""
    return bool(_MODEL.fullmatch(model)) and any(
        model.startswith(entry.removesuffix(_ANY)) if entry.endswith(_ANY) else model == entry
        for entry in entries
    )


def named(entries: Iterable[str]) -> Sequence[str]:
    """Return the models that stand there by their whole ids."""
    return [entry for entry in entries if not entry.endswith(_ANY)]
