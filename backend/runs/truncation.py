"""How much of a long conversation a model is given.

Pure functions. What is cut is cut in steps, a quarter of the room at once, so that the beginning of
what is sent stays the same for many messages: the providers' caches go by it.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from backend.domain.assistants import FunctionTool
from backend.domain.messages import Document, Message, Note, Part, Picture
from backend.domain.options import Options, Truncation
from backend.domain.tokens import bound_of_all, bound_of_frame

_STEPS = 4
"""In which a full window is emptied."""
_LARGEST_HEAD = 8
"""The beginning is kept where it is no more than this part of the room."""
_FOR_THE_ANSWER = 16_384
_SUMMARY = "A summary of what was said before, of which the words are left out: "


@dataclass(frozen=True, slots=True)
class Cut:
    """A conversation in three parts, of which the middle is left out."""

    head: tuple[Message, ...]
    dropped: tuple[Message, ...]
    tail: tuple[Message, ...]

    def messages(self, summary: str = "") -> list[Message]:
        """Return what the model is given.

        Args:
            summary: Of what was dropped; stands where that stood.
        """
        told = [Message("user", (Note(_SUMMARY + summary),))] if summary and self.dropped else []
        return [*self.head, *told, *self.tail]

    @property
    def digest(self) -> str:
        """The same for as long as the same is dropped: a summary of it holds for so long."""
        return digest_of(self.dropped)


def digest_of(messages: Sequence[Message]) -> str:
    """Return what tells these messages from others."""
    said = repr([(message.role, [*map(_said, message.parts)]) for message in messages])
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _said(part: Part) -> object:
    """Return what tells the part from others: files are not shown by their repr."""
    match part:
        case Picture():
            return ("picture", hashlib.sha256(part.body).hexdigest())
        case Document():
            return (part, part.text, hashlib.sha256(part.pdf).hexdigest())
        case _:
            return part


def room_of(
    window_tokens: int, instructions: str, tools: Sequence[FunctionTool], options: Options
) -> int:
    """Return how many tokens of conversation a model takes beside all else.

    Args:
        window_tokens: What it takes in all, see `domain.windows`.
        instructions: Of the assistant.
        tools: All that the model is told of.
        options: How long the answer may be.
    """
    answer = min(options.max_output_tokens or _FOR_THE_ANSWER, window_tokens // 2)
    room = window_tokens - answer - bound_of_frame(instructions, tools)
    return max(room, window_tokens // 8)


def fit(messages: Sequence[Message], truncation: Truncation, room_tokens: int) -> list[Message]:
    """Return what the model is given, without a summary."""
    return cut(messages, truncation, room_tokens).messages()


def cut(messages: Sequence[Message], truncation: Truncation, room_tokens: int) -> Cut:
    """Return what is kept and what is dropped.

    The newest message of a user is kept, and so are the last calls of tools; a call goes with its
    results. Where even that is too long, it is for the provider to say.

    Args:
        messages: Oldest first, attachments loaded, each call followed by its results.
        truncation: What the row says.
        room_tokens: How much the model takes at most, whatever the row says.
    """
    start = 0
    if truncation.kind == "last_messages":
        start = _start_of_last(messages, truncation.count)
    budget = room_tokens
    if truncation.kind == "max_tokens":
        budget = min(budget, truncation.count)
    rest = _cut(messages[start:], budget, keeps_head=truncation.kind != "last_messages")
    return Cut(rest.head, (*messages[:start], *rest.dropped), rest.tail)


def cut_harder(messages: Sequence[Message]) -> Cut | None:
    """Return half of what a provider found too long, or none where nothing more can go.

    Args:
        messages: Those that it was asked with, whatever had been dropped before.
    """
    harder = _cut(messages, bound_of_all(messages) // 2, keeps_head=False)
    return harder if harder.dropped else None


def _cut(messages: Sequence[Message], budget: int, *, keeps_head: bool) -> Cut:
    blocks = list(_blocks(messages))
    sizes = list(map(bound_of_all, blocks))
    over = sum(sizes) - budget
    fixed = _fixed(blocks)
    if over <= 0 or not fixed:
        return Cut((), (), tuple(messages))
    # Where the head alone would make the difference, it goes, too.
    for first in (1, 0) if keeps_head and sizes[0] <= budget // _LARGEST_HEAD else (0,):
        droppable = [number for number in range(first, len(blocks)) if number not in fixed]
        gone = _enough(droppable, sizes, over, budget)
        if sum(sizes[number] for number in gone) >= over:
            break
    kept = [number for number in range(len(blocks)) if number not in gone]
    head = kept[:first]
    return Cut(
        _joined(blocks, head), _joined(blocks, sorted(gone)), _joined(blocks, kept[len(head) :])
    )


def _enough(droppable: Sequence[int], sizes: Sequence[int], over: int, budget: int) -> set[int]:
    """Return the oldest blocks that make room, in steps: a little more makes no difference."""
    step = max(budget // _STEPS, 1)
    wanted = math.ceil(over / step) * step
    sums = accumulate(sizes[number] for number in droppable)
    count = sum(1 for total in sums if total < wanted) + 1
    return set(droppable[:count])


def _blocks(messages: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    """Yield what goes or stays together.

    Before the newest message of a user, that is each of a user's with all that follows it; after
    it, each answer of the model with the results of its calls.
    """
    newest = _newest(messages)
    begins = [0]
    for position, message in enumerate(messages):
        follows_user = position > newest and message.role == "assistant"
        if position and (message.role == "user" or follows_user):
            begins.append(position)
    ends = [*begins[1:], len(messages)]
    return (tuple(messages[a:b]) for a, b in zip(begins, ends, strict=True) if a < b)


def _fixed(blocks: Sequence[Sequence[Message]]) -> set[int]:
    """Return the blocks that stay: the newest of a user's, and the last."""
    asked = [number for number, block in enumerate(blocks) if block[0].role == "user"]
    return {*asked[-1:], len(blocks) - 1} if blocks else set()


def _start_of_last(messages: Sequence[Message], count: int) -> int:
    """Return where the last messages begin; an answer with all its calls is one message.

    What the model has done since the newest message of a user counts as none.
    """
    begins = [
        position
        for position, message in enumerate(messages[: _newest(messages) + 1])
        if position == 0 or message.role == "user" or messages[position - 1].role == "user"
    ]
    return begins[-count] if 0 < count <= len(begins) else 0


def _newest(messages: Sequence[Message]) -> int:
    """Return where the newest message of a user is, or the end where there is none."""
    positions = range(len(messages) - 1, -1, -1)
    return next((it for it in positions if messages[it].role == "user"), len(messages))


def _joined(blocks: Sequence[Sequence[Message]], numbers: Sequence[int]) -> tuple[Message, ...]:
    return tuple(message for number in numbers for message in blocks[number])
