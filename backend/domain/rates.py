"""How often a provider lets one key ask for some of its models."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

_PART = re.compile(r"([1-9][0-9]{0,11})(rpm|tpm)")
_FORM = "it is no list of provider:name=500rpm/200000tpm, with commas between them"


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests and tokens a minute; None: no limit."""

    models: str
    """Which ones share it: ids in which `*` stands for anything."""
    requests: float | None = None
    tokens: float | None = None

    @property
    def provider(self) -> str:
        """Whose models they are."""
        return self.models.partition(":")[0]

    def concerns(self, model: str) -> bool:
        """Whether a `provider:name` is among the models."""
        return fnmatchcase(model, self.models)


def parse_rates(text: str) -> Sequence[Rate]:
    """Return the rates of `openai:*=500rpm/200000tpm,anthropic:claude-x=50rpm`, in this order.

    Raises:
        ValueError: It is none of that form.
    """
    return tuple(_rate(it.strip()) for it in text.split(",") if it.strip())


def _rate(text: str) -> Rate:
    models, _, rates = text.partition("=")
    if not re.fullmatch(r"[a-z0-9_-]+:\S{1,200}", models) or not rates.strip():
        raise ValueError(_FORM)
    found = [_PART.fullmatch(it.strip()) for it in rates.split("/")]
    counts = {it[2]: float(it[1]) for it in found if it}
    if len(counts) != len(found):
        raise ValueError(
            f"{_FORM}: at {models}, each rate is a whole number from 1 on with its unit"
        )
    return Rate(models, counts.get("rpm"), counts.get("tpm"))
