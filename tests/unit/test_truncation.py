"""Long conversations are cut in steps, and never where it would break them."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.assistants import FunctionTool
from backend.domain.ids import CallId
from backend.domain.messages import Document, Message, Part, Picture, Text, ToolCall, ToolResult
from backend.domain.options import Options, Truncation
from backend.domain.successors import successors
from backend.domain.tokens import bound_of, bound_of_all, bound_of_text
from backend.domain.windows import UNKNOWN_WINDOW, window_of
from backend.runs.truncation import Cut, cut, cut_harder, digest_of, fit, room_of

AUTO = Truncation()
ENDLESS = 10**9


def user(text: str) -> Message:
    return Message("user", (Text(text),))


def answer(text: str) -> Message:
    return Message("assistant", (Text(text),))


def a_round(number: int, size: int = 1) -> list[Message]:
    """Return two calls beside each other and their results."""
    ids = [CallId(f"call_{number}_{it}") for it in "ab"]
    results = [ToolResult(it, "x" * size) for it in ids]
    return [
        Message("assistant", tuple(ToolCall(it, "roll") for it in ids)),
        Message("tool", tuple(results)),
    ]


def talk(count: int, size: int = 700) -> list[Message]:
    """Return so many questions with their answers, and a last question."""
    turns = [it for n in range(count) for it in (user(f"{n}" * size), answer("a" * size))]
    return [*turns, user("now")]


def kept_numbers(messages: Sequence[Message]) -> list[str]:
    return [it.text[0] for it in messages if it.role == "user"]


def test_what_fits_is_left_as_it_is() -> None:
    turns = talk(3)
    assert cut(turns, AUTO, ENDLESS) == Cut((), (), tuple(turns))
    assert fit(turns, AUTO, bound_of_all(turns)) == turns
    assert fit([], AUTO, 1) == []


def test_auto_drops_the_middle() -> None:
    turns = [user("My name is Ada."), answer("Hello Ada."), *talk(8)]
    made = cut(turns, AUTO, 2_000)
    assert made.head == tuple(turns[:2])
    assert made.tail[-1] == user("now")
    assert bound_of_all(made.messages()) <= 2_000
    assert [*made.head, *made.dropped, *made.tail] == turns


def test_a_long_beginning_is_dropped_like_the_rest() -> None:
    made = cut(talk(8), AUTO, 2_000)
    assert made.head == ()
    assert made.dropped == tuple(talk(8)[: len(made.dropped)])


def test_the_beginning_goes_too_where_it_makes_the_difference() -> None:
    turns = [user("hi"), answer("ho"), user("x" * 3_500)]
    made = cut(turns, AUTO, 1_010)
    assert (made.head, made.tail) == ((), (turns[-1],))


def test_the_cut_moves_in_steps_so_that_the_beginning_stays_the_same() -> None:
    beginnings = []
    for count in range(8, 60):
        made = cut(talk(count, size=100), AUTO, 2_000)
        assert bound_of_all(made.messages()) <= 2_000
        beginnings.append(len(made.dropped))
    moves = sum(one != other for one, other in pairwise(beginnings))
    assert beginnings == sorted(beginnings)
    assert 0 < moves <= len(beginnings) / 4


def test_a_limit_of_tokens_holds_below_the_models_own() -> None:
    turns = talk(8)
    for limit, room in ((2_000, ENDLESS), (ENDLESS, 2_000)):
        made = fit(turns, Truncation("max_tokens", limit), room)
        assert bound_of_all(made) <= 2_000
        assert made[-1] == turns[-1]


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 2), (3, 3), (6, 6), (7, 7), (99, 7)])
def test_the_last_messages_are_counted_exactly(count: int, kept: int) -> None:
    turns = talk(3)
    made = cut(turns, Truncation("last_messages", count), ENDLESS)
    assert made.tail == tuple(turns[-kept:])
    assert made.dropped == tuple(turns[: len(turns) - kept])


def test_an_answer_with_its_calls_is_one_message() -> None:
    turns = [user("a"), *a_round(1), *a_round(2), answer("b"), user("c"), *a_round(3)]
    for count, start in ((1, 6), (2, 1), (3, 0)):
        assert fit(turns, Truncation("last_messages", count), ENDLESS) == turns[start:]


def test_the_last_messages_are_cut_too_where_the_model_takes_no_more() -> None:
    made = cut(talk(8), Truncation("last_messages", 12), 1_000)
    assert made.head == ()
    assert bound_of_all(made.messages()) <= 1_000
    assert [*made.dropped, *made.tail] == talk(8)


def test_of_a_long_run_of_tools_the_oldest_rounds_go_and_the_last_stays() -> None:
    rounds = [it for number in range(9) for it in a_round(number, size=700)]
    turns = [*talk(2), *rounds]
    made = fit(turns, AUTO, 2_500)
    assert made[0] == user("now")
    assert made[-2:] == a_round(8, size=700)
    assert bound_of_all(made) <= 2_500


def test_what_cannot_be_cut_is_for_the_provider_to_refuse() -> None:
    turns = [user("x" * 9_000), *a_round(1, size=9_000)]
    assert fit(turns, AUTO, 10) == turns
    assert cut_harder(turns) is None


def test_what_a_provider_found_too_long_is_halved() -> None:
    turns = talk(10)
    made = cut_harder(turns)
    assert made is not None
    assert bound_of_all(made.messages()) <= bound_of_all(turns) / 2
    assert made.messages()[-1] == turns[-1]


def test_a_summary_stands_where_the_words_stood() -> None:
    turns = [user("My name is Ada."), answer("Hello Ada."), *talk(8)]
    made = cut(turns, AUTO, 2_000)
    told = made.messages("They counted.")
    assert told[:2] == turns[:2]
    assert (told[2].role, told[3:]) == ("user", list(made.tail))
    assert "They counted." in str(told[2])
    assert cut(turns, AUTO, ENDLESS).messages("Never told.") == turns


_TURNS = st.lists(
    st.one_of(
        st.integers(0, 900).map(lambda size: [user("u" * size)]),
        st.integers(0, 900).map(lambda size: [answer("a" * size)]),
        st.tuples(st.integers(0, 99), st.integers(0, 900)).map(lambda it: a_round(*it)),
    ),
    max_size=24,
).map(lambda groups: [it for group in groups for it in group])
_KINDS = st.one_of(
    st.just(AUTO),
    st.builds(Truncation, st.just("last_messages"), st.integers(1, 30)),
    st.builds(Truncation, st.just("max_tokens"), st.integers(1, 4_000)),
)


@given(_TURNS, _KINDS, st.integers(1, 4_000))
def test_no_cut_breaks_a_conversation(
    turns: list[Message], truncation: Truncation, room: int
) -> None:
    made = cut(turns, truncation, room)
    assert sorted(map(id, [*made.head, *made.dropped, *made.tail])) == sorted(map(id, turns))
    kept = made.messages()
    assert kept == [it for it in turns if any(it is other for other in kept)]
    for position, message in enumerate(kept):
        if message.role == "tool":
            assert position
            assert kept[position - 1] is turns[turns.index(message) - 1] or (
                kept[position - 1].role == "assistant"
            )
    users = [it for it in turns if it.role == "user"]
    assert not users or any(it is users[-1] for it in kept)
    assert not turns or kept[-1] is turns[-1]


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 20, 200, 280),
        ("敏捷的棕色狐狸跳过了懒狗。" * 20, 260, 420),
        ("いろはにほへとちりぬるを" * 20, 240, 400),
        ("Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. " * 20, 340, 480),
        ("🏔️🎲" * 50, 150, 500),
        ("\ud83c", 1, 4),
        ("", 0, 0),
    ],
)
def test_the_bound_is_above_what_tokenizers_count_and_not_far(
    text: str, least: int, most: int
) -> None:
    # `least` is about what today's tokenizers make of it.
    assert least <= bound_of_text(text) <= most


def test_pictures_pages_and_kept_thoughts_count() -> None:
    plain = bound_of(user("x"))
    picture = Message("user", (Text("x"), Picture(b"", "image/png")))
    document = Document("a", "", b"%PDF", pages=3)
    assert bound_of(picture) > plain + 1_000
    assert bound_of(Message("user", (Text("x"), document))) > plain + 3_000
    thoughtful = Message("assistant", (Text("x"),), {"parts": [{"signature": "s" * 3_500}]})
    assert bound_of(thoughtful) > plain + 1_000


def test_the_room_is_what_instructions_tools_and_the_answer_leave() -> None:
    tool = FunctionTool("roll", "Rolls. " * 100, {"type": "object"})
    plain = room_of(100_000, "", (), Options())
    assert plain < 100_000
    assert room_of(100_000, "x" * 3_500, (), Options()) == plain - 1_000
    assert room_of(100_000, "", (tool,), Options()) < plain - 150
    assert room_of(100_000, "", (), Options(max_output_tokens=40_000)) < plain - 20_000
    assert room_of(8_000, "x" * 100_000, (), Options(max_output_tokens=900_000)) == 1_000


@pytest.mark.parametrize(
    ("models", "window"),
    [
        (["openai:gpt-4"], 1_050_000),
        (["openai:gpt-4-0000"], 128_000),
        (["openai:gpt-4.1"], 1_000_000),
        (["openai:gpt-6-luna"], 1_050_000),
        (["openai:o3"], 200_000),
        (["anthropic:claude-haiku-4-5"], 200_000),
        (["anthropic:claude-sonnet-5"], 1_000_000),
        (["openai:gpt-6-luna", "anthropic:claude-haiku-4-5"], 200_000),
        (["gpt-3.5-turbo"], 1_050_000),
        (["claude-3-opus-20240229"], 1_000_000),
        (["openai:gpt-4o"], 1_050_000),
        (["openai:gpt-4o-mini"], 128_000),
        (["ollama:llama3.2"], UNKNOWN_WINDOW),
        ([], UNKNOWN_WINDOW),
    ],
)
def test_a_window_is_the_smallest_of_those_who_may_be_asked(models: list[str], window: int) -> None:
    assert window_of(models, successors({})) == window


def test_the_window_is_that_of_the_model_which_answers_by_the_operators_word() -> None:
    told = successors({"gpt-4o": "openai:gpt-4o", "ollama:old": "anthropic:claude-sonnet-5"})
    assert window_of(["openai:gpt-4o"], told) == 128_000
    assert window_of(["ollama:old"], told) == 1_000_000
    assert window_of(["anthropic:claude-sonnet-5"], {"anthropic:claude-sonnet-5": "own:m"}) == (
        UNKNOWN_WINDOW
    )


def test_files_of_one_name_are_told_apart_by_what_they_hold() -> None:
    files: list[Part] = [
        Document("report.pdf", text, pdf) for text in ("a", "b") for pdf in (b"x", b"y")
    ]
    pictures: list[Part] = [Picture(body, "image/png") for body in (b"x", b"y")]
    digests = {digest_of([Message("user", (part,))]) for part in (*files, *pictures)}
    assert len(digests) == 6
