"""A typed function becomes a tool: what the model is told of it, and how it is called."""

import asyncio
import contextvars
import threading
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field

from backend.ports.tools import ToolContext
from backend.tools.invocation import ToolOutcome
from backend.tools.registry import PythonTool, ToolMalformed, tool
from tests.tools.calling import call, context


@tool(timeout_s=3, attempts=2, fresh_s=60, open_to_users=True)
async def find_trains(
    start: str,
    on: date,
    seats: Annotated[int, Field(ge=1, le=9)] = 1,
    kind: Literal["fast", "slow"] = "fast",
    schema: str | None = None,
) -> str:
    """Find trains between two stations.

    The nearest ones come first.

    Args:
        start: Where it leaves,
            by name.
        on: The day.
        kind (str): How fast.

    Returns:
        Words.
    """
    return f"{start} {on:%d.%m.%Y} {seats} {kind} {schema}"


def test_the_model_is_told_what_signature_and_docstring_say() -> None:
    made = find_trains.definition
    assert made.name == "find_trains"
    assert made.description == "Find trains between two stations.\n\nThe nearest ones come first."
    assert made.parameters == {
        "type": "object",
        "properties": {
            "start": {"type": "string", "description": "Where it leaves, by name."},
            "on": {"type": "string", "format": "date", "description": "The day."},
            "seats": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
            "kind": {
                "type": "string",
                "enum": ["fast", "slow"],
                "default": "fast",
                "description": "How fast.",
            },
            "schema": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["start", "on"],
        "additionalProperties": False,
    }


def test_its_traits_are_what_the_decorator_was_told() -> None:
    traits = find_trains.traits
    assert (traits.timeout_s, traits.attempts, traits.fresh_s) == (3, 2, 60)
    assert traits.is_repeatable
    assert find_trains.open_to_users


async def test_it_gets_its_arguments_in_the_types_of_its_signature() -> None:
    outcome = await call(find_trains, start="Goslar", on="2026-11-21", seats=2.0)
    assert outcome == ToolOutcome("Goslar 21.11.2026 2 fast None")


async def test_what_the_schema_cannot_say_is_told_to_the_model_by_place() -> None:
    outcome = await call(find_trains, start="Goslar", on="yesterday")
    assert outcome.is_error
    assert "on: Input should be a valid date" in str(outcome.output)
    assert "pydantic.dev" not in str(outcome.output)


def test_it_can_still_be_called_as_the_function_that_it_is() -> None:
    @tool()
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == 8


class Stop(BaseModel):
    name: str
    minutes: int = 5


async def test_models_and_lists_of_them_are_arguments_and_results() -> None:
    @tool()
    async def plan(stops: list[Stop]) -> list[Stop]:
        return [*stops, Stop(name="home")]

    outcome = await call(plan, stops=[{"name": "work"}])
    assert outcome.output == [{"name": "work", "minutes": 5}, {"name": "home", "minutes": 5}]


async def test_the_context_is_given_and_no_model_can_give_it() -> None:
    @tool()
    async def who(context: ToolContext, greeting: str = "Hi") -> str:
        return f"{greeting} {context.asker.user_id}"

    assert set(who.definition.parameters["properties"]) == {"greeting"}  # type: ignore[arg-type]
    assert (await call(who)).output == "Hi user_2ada"
    assert (await call(who, context={"asker": "eve"})).is_error


async def test_a_plain_function_runs_beside_the_loop() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    name.set("ada")

    @tool()
    def where() -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), name.get()]

    assert (await call(where)).output == [False, "ada"]


@pytest.mark.parametrize("error", [ValueError, StopIteration, SystemExit, KeyboardInterrupt])
async def test_whatever_a_plain_function_raises_is_one_failed_call(
    error: type[BaseException],
) -> None:
    @tool()
    def broken() -> None:
        raise error

    assert (await call(broken)).output == {"error": "tool_failed", "message": "The tool failed."}


async def test_a_plain_function_that_hangs_is_left_behind() -> None:
    stuck = threading.Event()

    @tool()
    def hang() -> None:
        stuck.wait(60)

    calling = asyncio.ensure_future(hang.call({}, context()))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    stuck.set()


def test_a_parameter_without_a_type_is_refused_by_name() -> None:
    with pytest.raises(ToolMalformed, match="guess cannot be a tool: parameter number has no type"):

        @tool()
        def guess(number) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            del number


@pytest.mark.parametrize("name", ["", "with space", "x" * 65, "ü", "a\n"])
def test_a_name_that_no_row_can_say_is_refused(name: str) -> None:
    with pytest.raises(ToolMalformed):
        tool(name=name or " ")(lambda: None)


def test_parameters_without_names_are_refused() -> None:
    def spread(*numbers: int) -> None:
        del numbers

    with pytest.raises(ToolMalformed, match="numbers"):
        tool()(spread)


def test_a_type_that_no_json_can_be_is_refused() -> None:
    def plot(paint: threading.Event) -> None:
        del paint

    with pytest.raises(ToolMalformed, match="plot"):
        tool()(plot)


async def test_a_check_of_the_functions_own_speaks_to_the_model() -> None:
    def even(number: int) -> int:
        if number % 2:
            raise ValueError("it is odd")
        return number

    @tool()
    async def halve(number: Annotated[int, AfterValidator(even)]) -> int:
        return number // 2

    assert "number: Value error, it is odd" in str((await call(halve, number=3)).output)
    assert (await call(halve, number=4)).output == 2


def test_a_decorator_without_words_needs_no_parentheses() -> None:
    @tool
    def plain(number: int) -> int:
        """Say it."""
        return number

    assert isinstance(plain, PythonTool)
    assert plain.definition.description == "Say it."
    assert plain(4) == 4


@pytest.mark.parametrize(
    "wrong", [{"timeout_s": 0}, {"timeout_s": -1}, {"attempts": 0}, {"fresh_s": -1}]
)
def test_times_and_attempts_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ToolMalformed, match=next(iter(wrong))):
        tool(name="it", **wrong)(lambda: None)
