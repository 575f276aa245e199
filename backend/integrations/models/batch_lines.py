"""The files of answers: one question's a line."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import structlog

from backend.ports.batches import BatchAnswer

Read: TypeAlias = Callable[[Any], BatchAnswer]
"""A line's object into its answer; may stumble over what is missing or of another kind."""
BATCH_LINE_UNREADABLE = "batch.line_unreadable"
_UNMADE = frozenset({"batch_expired", "batch_cancelled"})
_FAILED = 500
_STUMBLED = (AttributeError, TypeError, LookupError, ValueError, RecursionError)
_log = structlog.get_logger()


def read_lines(text: str, read: Read) -> dict[str, BatchAnswer]:
    """Return the answers by the ids of their questions, without those that cannot be read.

    Raises:
        ValueError: It is no such file: no line is about a question.
    """
    # Not at the characters that only Python takes for the end of a line.
    return read_all(filter(str.strip, text.split("\n")), read, json.loads)


def read_all(
    lines: Iterable[Any], read: Read, parse: Callable[[Any], Any] = lambda line: line
) -> dict[str, BatchAnswer]:
    """Return the answers by the ids of their questions, without those that cannot be read.

    Raises:
        ValueError: No line is about a question, though there are some.
    """
    found: dict[str, BatchAnswer] = {}
    told, named = 0, 0
    for told, line in enumerate(lines, start=1):
        try:
            parsed = parse(line)
            item_id = str(parsed["custom_id"])
            named += 1
            found[item_id] = read(parsed)
        except _STUMBLED as error:
            _log.warning(BATCH_LINE_UNREADABLE, line=told, raised=type(error).__name__)
    if told and not named:
        raise ValueError
    return found


def read_answer(line: Any) -> BatchAnswer:
    """Return the answer in a line of OpenAI's or Mistral's."""
    response, error = line.get("response"), line.get("error")
    if response:
        status, body = response["status_code"], response["body"]
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's class
            return BatchAnswer("succeeded", json.dumps(body))
        return _refused(status, body)
    code = error.get("code") if isinstance(error, dict) else None
    if code in _UNMADE:
        return BatchAnswer("expired")
    return _refused(_FAILED, {"error": error})


def _refused(status: int, body: Any) -> BatchAnswer:
    return BatchAnswer("errored", json.dumps({"status_code": status, "body": body}))
