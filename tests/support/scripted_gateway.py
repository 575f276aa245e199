"""A gateway whose answers a test decides, for what no database can be made to do on demand."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from backend.ports.gateway import SERVICE, Identity

Answer: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ScriptedGateway:
    """Answers each function as told and remembers what it was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        assert identity is SERVICE
        name = function.removeprefix("engine.")
        self.calls.append((name, arguments))
        return await self.answers[name](arguments)

    def asked(self, name: str) -> list[Mapping[str, Any]]:
        """Return the arguments of each call of this function."""
        return [arguments for called, arguments in self.calls if called == name]


def returns(value: Any) -> Answer:
    """Return an answer that is always this."""

    async def answer(_arguments: Mapping[str, Any]) -> Any:
        return value

    return answer


def fails(*errors: Exception, then: Any = None) -> Answer:
    """Return an answer that raises these one after the other, and is this from then on."""
    left = list(errors)

    async def answer(_arguments: Mapping[str, Any]) -> Any:
        if left:
            raise left.pop(0)
        return then

    return answer
