"""A typed Python function becomes a tool: its schema is its signature and its docstring."""

import asyncio
import contextvars
import inspect
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Annotated, Any, NotRequired, cast, get_type_hints, overload

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import TypedDict

from backend.domain.assistants import FunctionTool
from backend.domain.json_values import Json, JsonObject
from backend.errors import ToolRefused
from backend.ports.tools import ToolContext, ToolTraits
from backend.tools import docstrings

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What rows and models call functions by."""
_DEFAULT = ToolTraits()
_MOST_PROBLEMS = 5


class ToolMalformed(TypeError):
    """A function cannot be made a tool; says which, and why. Raised where it is defined."""


class PythonTool:
    """A function as a tool; called like the function, it is the function."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        traits: ToolTraits = _DEFAULT,
        open_to_users: bool = False,
    ) -> None:
        """Ready.

        Args:
            function: Each parameter has a type; one of type ToolContext is given the context, and
                the model does not see it. Without `async` it runs in a thread of its own.
            name: Other than the function's own.
            traits: How it may be treated.
            open_to_users: Assistants that users made may use it, too.

        Raises:
            ToolMalformed: There is no schema for it.
        """
        if not callable(function):
            raise ToolMalformed("@tool takes its words by their names: @tool(name=…, timeout_s=…)")
        self._function = function
        self.traits = traits
        self.open_to_users = open_to_users
        said = docstrings.read(function)
        name = name or function.__name__
        if not NAME.fullmatch(name):
            raise ToolMalformed(f"{name!r} is no name of a tool: {NAME.pattern}")
        _check_traits(name, traits)
        try:
            hints = _hints(function)
            self._context = _context_parameter(hints)
            self._arguments = _arguments(function, hints, said.parameters)
            schema = self._arguments.json_schema(schema_generator=_Untitled)
        except (PydanticUserError, NameError, ToolMalformed) as error:
            raise ToolMalformed(f"{name} cannot be a tool: {error}") from None
        schema.pop("title", None)
        self.definition = FunctionTool(name, said.summary, schema)

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Return what the function returns, unchecked."""
        return self._function(*given, **named)

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        """Return what the function returns.

        Raises:
            ToolRefused: The arguments fit the schema but not the types behind it.
        """
        given = self._typed(arguments)
        if self._context:
            given[self._context] = context
        if inspect.iscoroutinefunction(self._function):
            found = await self._function(**given)
        else:
            found = await _in_a_thread(lambda: self._function(**given))
        return cast("Json", found)

    def _typed(self, arguments: JsonObject) -> dict[str, Any]:
        try:
            return dict(self._arguments.validate_python(dict(arguments)))
        except ValidationError as invalid:
            problems = invalid.errors(include_url=False, include_input=False, include_context=False)
            said = (f"{_place(it['loc'])}: {it['msg']}" for it in problems[:_MOST_PROBLEMS])
            raise ToolRefused("; ".join(said)) from None


@overload
def tool(function: Callable[..., Any], /) -> PythonTool: ...
@overload
def tool(
    *,
    name: str | None = None,
    timeout_s: float = ...,
    attempts: int = ...,
    is_repeatable: bool = ...,
    fresh_s: float = ...,
    open_to_users: bool = ...,
) -> Callable[[Callable[..., Any]], PythonTool]: ...
def tool(  # noqa: PLR0913 - the words of ToolTraits, and one that Python puts there itself
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    timeout_s: float = _DEFAULT.timeout_s,
    attempts: int = _DEFAULT.attempts,
    is_repeatable: bool = _DEFAULT.is_repeatable,
    fresh_s: float = _DEFAULT.fresh_s,
    open_to_users: bool = False,
) -> PythonTool | Callable[[Callable[..., Any]], PythonTool]:
    """Return a decorator that makes a typed function a tool; its words are those of ToolTraits.

    Without words `@tool` does the same as `@tool()`.
    """
    traits = ToolTraits(timeout_s, attempts, is_repeatable, fresh_s)

    def decorate(function: Callable[..., Any]) -> PythonTool:
        return PythonTool(function, name=name, traits=traits, open_to_users=open_to_users)

    return decorate if function is None else decorate(function)


def _check_traits(name: str, traits: ToolTraits) -> None:
    wrong = {
        "timeout_s must be more than 0": not traits.timeout_s > 0,
        "attempts must be 1 or more": traits.attempts < 1,
        "fresh_s must not be less than 0": not traits.fresh_s >= 0,
    }
    if said := [rule for rule, is_broken in wrong.items() if is_broken]:
        raise ToolMalformed(f"{name} cannot be a tool: {', '.join(said)}")


class _Untitled(GenerateJsonSchema):
    """Titles repeat the names, and each model call pays for them."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class's
        return False


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    # What it returns may be described by names that are nowhere else.
    named = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    around = getattr(function, "__globals__", {})
    return get_type_hints(SimpleNamespace(__annotations__=named), around, include_extras=True)


def _context_parameter(hints: Mapping[str, Any]) -> str | None:
    found = [name for name, hint in hints.items() if hint is ToolContext]
    return found[0] if found else None


def _arguments(
    function: Callable[..., Any], hints: Mapping[str, Any], said: Mapping[str, str]
) -> TypeAdapter[Any]:
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if hints.get(name) is ToolContext:
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ToolMalformed(f"{parameter} can have no schema")
        if name not in hints:
            raise ToolMalformed(f"parameter {name} has no type")
        fields[name] = _field(hints[name], parameter, said.get(name))
    # A mapping and no model: a parameter may be called `schema` or `copy` without being in the way.
    made = cast("Any", TypedDict)("Arguments", fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(made)


def _field(hint: Any, parameter: inspect.Parameter, said: str | None) -> Any:
    more: dict[str, Any] = {}
    has_default = parameter.default is not parameter.empty
    if has_default and parameter.default is not None:
        try:
            more = {"default": to_jsonable_python(parameter.default)}
        except PydanticSerializationError:
            more = {}
    field = Annotated[hint, Field(description=said, json_schema_extra=more)]
    return NotRequired[field] if has_default else field


def _place(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in location).lstrip(".")


def _in_a_thread(work: Callable[[], Any]) -> Awaitable[Any]:
    """Return what the work returns; a thread that never ends delays no exit of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    scope = contextvars.copy_context()

    def tell(put: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            put(value)

    def run() -> None:
        try:
            told = (done.set_result, scope.run(work))
        except (StopIteration, SystemExit) as error:
            # The one cannot be given to a future, the other would end the loop that awaits it.
            told = (done.set_exception, RuntimeError(type(error).__name__))
        except BaseException as error:  # noqa: BLE001 - raised again where the tool is awaited
            told = (done.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, *told)

    threading.Thread(target=run, name="tool", daemon=True).start()
    return done
