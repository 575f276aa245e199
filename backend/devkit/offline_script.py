"""Scripts for the offline model: a line `offline: {…}` in a user's message.

Every key may be left out:

    text            what to say, instead of the usual answer
    deltas          say this many words, numbered, instead
    first_delay_ms  wait before the first word
    delay_ms        wait before each further word
    finish          "stop" or "length": why the model stops
    tool_calls      [{"name", "arguments", "call_id"}]: ask for these at once, before saying anything more;
                    a list of such lists asks in several rounds
    fault           {"kind", "attempts", "after", "retry_after_s"}: go wrong in the first
                    `attempts` attempts (1), after that many words (0)

The kinds of fault: `retryable` and `rate_limited` may pass, `fatal` does not, `truncated` ends
the stream without a final event, `defect` is an error that nobody expects. `crash` kills the
process after so many words, `crash_at_end` when all is said but nothing is stored. Both, and
delays of more than two seconds in all, only where the operator allows trials.
"""

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_LINE = re.compile(r"^offline:\s*(\{.*\})\s*$", re.MULTILINE)
_MOST_WORDS = 10_000
_LONGEST_MS = 60_000

FaultKind: TypeAlias = Literal[
    "retryable", "rate_limited", "fatal", "truncated", "defect", "crash", "crash_at_end"
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScriptedCall(_Strict):
    """A tool to ask for."""

    name: str
    arguments: dict[str, Any] | None = None
    call_id: str | None = None


class Fault(_Strict):
    """What goes wrong, and when."""

    kind: FaultKind
    attempts: int = Field(default=1, ge=1)
    after: int = Field(default=0, ge=0)
    retry_after_s: float | None = Field(default=None, ge=0)


Round: TypeAlias = Annotated[list[ScriptedCall], Field(max_length=32)]


class Script(_Strict):
    """What the offline model does instead of its usual answer."""

    text: str | None = None
    deltas: int | None = Field(default=None, ge=0, le=_MOST_WORDS)
    first_delay_ms: float = Field(default=0, ge=0, le=_LONGEST_MS)
    delay_ms: float = Field(default=0, ge=0, le=_LONGEST_MS)
    finish: Literal["stop", "length"] = "stop"
    tool_calls: list[ScriptedCall] | list[Round] = Field(default_factory=list, max_length=64)
    fault: Fault | None = None

    def calls_of_round(self, number: int) -> list[ScriptedCall]:
        """Return what to ask for in this round, the first one being 0."""
        rounds = self.tool_calls
        if rounds and isinstance(rounds[0], ScriptedCall):
            rounds = [TypeAdapter(Round).validate_python(rounds)]
        asked = rounds[number] if number < len(rounds) else []
        return asked if isinstance(asked, list) else []

    def words(self) -> list[str] | None:
        """Return what it says word by word, or None where it says the usual."""
        if self.deltas is not None:
            return [f"word{number} " for number in range(1, self.deltas + 1)]
        return None if self.text is None else split_words(self.text)


class ScriptInvalid(Exception):
    """The line is no valid script; the text says what is wrong with it."""


def split_words(text: str) -> list[str]:
    """Return the words with the white space behind them; joined they are the text again."""
    return re.findall(r"\S+\s*|^\s+", text)


def parse_script(text: str) -> Script | None:
    """Return the script of the last such line, or None where the text has none.

    Raises:
        ScriptInvalid: There is such a line and it is wrong.
    """
    lines = _LINE.findall(text)
    if not lines:
        return None
    try:
        return Script.model_validate_json(lines[-1])
    except ValidationError as invalid:
        problems = "; ".join(
            ".".join(map(str, problem["loc"])) + ": " + problem["msg"]
            for problem in invalid.errors()
        )
        raise ScriptInvalid(f"The offline script is wrong: {problems}.") from None
