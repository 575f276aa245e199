"""The files of OpenAI's batches and Mistral's: one question or answer a line."""

import json
from collections.abc import Iterator
from typing import Any

from backend.ports.batches import BatchAnswer

_UNMADE = frozenset({"batch_expired", "batch_cancelled"})
_FAILED = 500


def read_lines(text: str) -> Iterator[tuple[str, BatchAnswer]]:
    """Yield the answers by the ids of their questions.

    Raises:
        ValueError: It is no such file.
    """
    # Not at the characters that only Python takes for the end of a line.
    for line in text.split("\n"):
        if line.strip():
            yield read_answer(json.loads(line))


def read_answer(line: Any) -> tuple[str, BatchAnswer]:
    """Return one answer and the id of its question."""
    item_id, response, error = str(line["custom_id"]), line.get("response"), line.get("error")
    if response:
        status, body = response["status_code"], response["body"]
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's class
            return item_id, BatchAnswer("succeeded", json.dumps(body))
        return item_id, _refused(status, body)
    code = error.get("code") if isinstance(error, dict) else None
    if code in _UNMADE:
        return item_id, BatchAnswer("expired")
    return item_id, _refused(_FAILED, {"error": error})


def _refused(status: int, body: Any) -> BatchAnswer:
    return BatchAnswer("errored", json.dumps({"status_code": status, "body": body}))
