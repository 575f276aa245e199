"""`offline:demo`, the model that needs no account: no language model, always the same answers.

It exercises every path of a real one: streaming word by word, forced and parallel tool calls,
answers in JSON after a schema, usage, embeddings. A tool is called when the user's text names it,
or when the request demands it. Tests and demonstrations script it by a line in the user's
text, see `offline_script`.
"""

import hashlib
import json
import math
import os
import re
import signal
from collections.abc import AsyncGenerator, Iterator, Sequence

from backend.devkit.offline_arguments import fill
from backend.devkit.offline_script import (
    Fault,
    Script,
    ScriptedCall,
    ScriptInvalid,
    parse_script,
    split_words,
)
from backend.domain.asker import Asker
from backend.domain.assistants import FunctionTool
from backend.domain.ids import CallId
from backend.domain.json_values import JsonObject
from backend.domain.messages import Document, Message, Note, Picture, ToolCall, ToolResult
from backend.domain.options import JsonAnswer, Named
from backend.domain.usage import Usage
from backend.errors import ModelRateLimited, ModelRefused, ModelUnavailable
from backend.ports.clock import Clock
from backend.ports.models import (
    Embeddings,
    Finished,
    ModelEvent,
    ModelRequest,
    TextDelta,
    ToolCallMade,
)
from backend.ports.replies import Streamed

DIMENSIONS = 256
_NOTICE = "This is offline:demo, a deterministic stand-in and no language model."
_QUOTED_CHARS = 200
_LONGEST_MS = 2_000
_WORDS_BETWEEN_YIELDS = 32


class OfflineModel(Streamed):
    """Serves `offline:demo`."""

    names = ("demo",)

    def __init__(self, clock: Clock, *, trials: bool = False) -> None:
        """Ready to answer.

        Args:
            clock: For scripted delays.
            trials: Whether a script may kill this process and take as long as it likes; for tests
                only, because any user can write one.
        """
        self._clock = clock
        self._trials = trials

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer word by word, then its tool calls, Finished last."""
        asked = _last_of_user(request.messages)
        try:
            script = parse_script(asked) or Script()
            trouble = self._trouble(script.fault, asked, request.attempt)
        except ScriptInvalid as invalid:
            script, trouble = Script(text=f"{_NOTICE} {invalid}"), _Trouble(None, asked)
        round_ = _rounds_before(request.messages)
        calls = _calls(request, script, asked, round_)
        words = _words(request, script, asked, silent=bool(calls))
        pace = self._pace(script, len(words))
        await self._clock.sleep(script.first_delay_ms * pace)
        for number, word in enumerate(words):
            trouble.arise(number)
            if trouble.truncates(number):
                return
            if script.delay_ms and number:
                await self._clock.sleep(script.delay_ms * pace)
            elif number % _WORDS_BETWEEN_YIELDS == _WORDS_BETWEEN_YIELDS - 1:
                await self._clock.sleep(0)
            yield TextDelta(word)
        trouble.arise(len(words))
        if trouble.truncates(len(words)):
            return
        for call in calls:
            yield ToolCallMade(call)
        reason = "tool_calls" if calls and script.finish == "stop" else script.finish
        try:
            yield Finished(reason, _usage(request, words, calls))
        finally:
            # Whoever has heard the final event may close the stream, and not ask for more.
            trouble.arise_at_end()

    def _pace(self, script: Script, words: int) -> float:
        """Return seconds for a scripted millisecond: a slot belongs to everybody."""
        wanted_ms = script.first_delay_ms + script.delay_ms * words
        if self._trials or wanted_ms <= _LONGEST_MS:
            return 0.001
        return 0.001 * _LONGEST_MS / wanted_ms

    def _trouble(self, fault: Fault | None, asked: str, attempt: int) -> "_Trouble":
        if fault and fault.kind.startswith("crash") and not self._trials:
            raise ScriptInvalid("The offline script may not crash the worker here.")
        return _Trouble(fault if fault and attempt <= fault.attempts else None, asked)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str,  # noqa: ARG002 - as the port says
        asker: Asker | None = None,  # noqa: ARG002 - as the port says
    ) -> Embeddings:
        """Return bags of words, hashed: texts that share words are near each other."""
        tokens = sum(_tokens(text) for text in texts)
        return Embeddings([_vector(text) for text in texts], Usage(input_tokens=tokens))


class _Trouble:
    """A scripted fault."""

    def __init__(self, fault: Fault | None, asked: str) -> None:
        self._fault = fault
        self._asked = asked

    def arise(self, words_said: int) -> None:
        if self._fault is None or words_said < self._fault.after:
            return
        match self._fault.kind:
            case "retryable":
                raise ModelUnavailable("The script says so.")
            case "rate_limited":
                raise ModelRateLimited(
                    "The script says so.", retry_after_s=self._fault.retry_after_s
                )
            case "fatal":
                raise ModelRefused("The script says so.")
            case "defect":
                # Defects quote whatever they stumbled over.
                raise LookupError(self._asked)
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)

    def arise_at_end(self) -> None:
        if self._fault is not None and self._fault.kind == "crash_at_end":
            os.kill(os.getpid(), signal.SIGKILL)

    def truncates(self, words_said: int) -> bool:
        fault = self._fault
        return fault is not None and fault.kind == "truncated" and words_said >= fault.after


def _last_of_user(messages: Sequence[Message]) -> str:
    return next((it.text for it in reversed(messages) if it.role == "user"), "")


def _rounds_before(messages: Sequence[Message]) -> int:
    """Count how often tools answered since the user spoke."""
    count = 0
    for message in reversed(messages):
        if message.role == "user":
            break
        count += message.role == "tool"
    return count


def _calls(request: ModelRequest, script: Script, asked: str, round_: int) -> list[ToolCall]:
    by_name = {tool.name: tool for tool in request.tools}
    if scripted := script.calls_of_round(round_):
        wanted = scripted
    else:
        wanted = [ScriptedCall(name=name) for name in _demanded(request, asked, round_)]
    return [
        ToolCall(
            CallId(call.call_id or f"call_{round_ + 1}_{number}"),
            call.name,
            call.arguments or _arguments(by_name.get(call.name)),
        )
        for number, call in enumerate(wanted, 1)
    ]


def _demanded(request: ModelRequest, asked: str, round_: int) -> list[str]:
    match request.options.tool_choice:
        case "none":
            return []
        case Named(name):
            return [name]
    words = set(re.findall(r"\w+", asked))
    named = [tool.name for tool in request.tools if tool.name in words]
    if request.options.tool_choice == "required":
        named = named or [tool.name for tool in request.tools[:1]]
    elif round_:
        named = []
    return named if request.options.parallel_tool_calls else named[:1]


def _arguments(tool: FunctionTool | None) -> JsonObject:
    filled = fill(tool.parameters) if tool else None
    return filled if isinstance(filled, dict) else {}


def _words(request: ModelRequest, script: Script, asked: str, *, silent: bool) -> list[str]:
    scripted = script.words()
    if scripted is not None:
        return scripted
    if silent:
        return []
    answer = request.options.answer
    return _usual(request, asked) if answer is None else _formed(answer, asked)


def _formed(answer: JsonAnswer, asked: str) -> list[str]:
    heard = {"notice": _NOTICE, "you_said": asked[:_QUOTED_CHARS]}
    return split_words(json.dumps(heard if answer.schema is None else fill(answer.schema)))


def _usual(request: ModelRequest, asked: str) -> list[str]:
    results = _results(request.messages)
    said = " ".join(asked.split())[:_QUOTED_CHARS]
    told = "".join(f" {name} returned {output}." for name, output in results)
    seen = "".join(f" Attached: {it}." for it in _attached(request.messages))
    return split_words(f'{_NOTICE} You said: "{said}".{seen}{told}')


def _attached(messages: Sequence[Message]) -> Iterator[str]:
    """Yield what the user has attached to the last message, as far as it can be shown."""
    asked = next((it for it in reversed(messages) if it.role == "user"), None)
    for part in asked.parts if asked else ():
        match part:
            case Picture(body, media_type):
                yield f"A picture ({media_type}, {len(body)} bytes)"
            case Document(name, text):
                yield f"{name} ({len(text)} characters)"
            case Note(text):
                yield text.removesuffix(".")


def _results(messages: Sequence[Message]) -> list[tuple[str, object]]:
    """Return what the tools answered since the user spoke, by the tools' names."""
    names: dict[CallId, str] = {}
    found: list[tuple[str, object]] = []
    for part in (part for message in messages for part in message.parts):
        match part:
            case ToolCall(call_id, name):
                names[call_id] = name
            case ToolResult(call_id, output):
                found.append((names.get(call_id, "a tool"), output))
    return found


def _usage(request: ModelRequest, words: Sequence[str], calls: Sequence[ToolCall]) -> Usage:
    heard = sum(_tokens(message.text) for message in request.messages)
    said = len(words) + sum(_tokens(f"{call.name} {dict(call.arguments)}") for call in calls)
    return Usage(input_tokens=heard + _tokens(request.instructions), output_tokens=said)


def _tokens(text: str) -> int:
    return math.ceil(len(text) / 4)


def _vector(text: str) -> list[float]:
    counts = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
        sign = 1.0 if digest[3] & 1 else -1.0
        counts[int.from_bytes(digest[:2], "big") % DIMENSIONS] += sign
    length = math.sqrt(sum(count * count for count in counts))
    return [count / length for count in counts] if length else [1.0, *counts[1:]]
