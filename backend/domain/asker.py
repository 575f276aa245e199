"""Who asked: what limits, budgets, caches, tools and the bill go by."""

from dataclasses import dataclass, field
from typing import Any

from backend.domain.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a model is asked."""

    user_id: str
    """Who wrote the message, not who started the session."""
    org_id: str | None = None
    assistant_id: str | None = None
    run_id: str | None = None
    priority: int = 0
    """Of the run; lower is sooner."""
    claims: JsonObject = field(default_factory=dict, repr=False)
    """Of a token that they could have: who reads rows in their name reads under row-level
    security."""


def asker_from_json(row: Any, run_id: str) -> Asker:
    """Return the asker of a history."""
    asker, assistant = row["asker"], row["assistant"]
    return Asker(
        user_id=asker["user_id"],
        org_id=asker["org_id"],
        assistant_id=assistant and assistant["id"],
        run_id=run_id,
        priority=asker["priority"],
        claims=asker["claims"],
    )
