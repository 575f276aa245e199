"""What every gateway does around a call: checks its names, and tries again what was rolled back."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from backend.domain.backoff import backoff_s
from backend.errors import DatabaseContended, InputInvalid
from backend.ports.clock import Clock

T = TypeVar("T")
_FUNCTION = re.compile(r"(engine|public)\.[a-z][a-z0-9_]{0,54}")
_PARAMETER = re.compile(r"p_[a-z0-9_]{1,60}")
_TRIES = 5
_RETRY_BASE_S = 0.005
_RETRY_LIMIT_S = 0.1

RETURN_SETS = frozenset(
    {
        "public.cancel_run",
        "public.regenerate",
        "public.search_messages",
        "public.submit_tool_outputs",
    }
)
"""The functions that return rows; every other one returns one value."""


def check_names(function: str, parameters: Iterable[str]) -> None:
    """Return quietly where these are names of ours, in which no SQL and no path can hide.

    Raises:
        InputInvalid: They are not.
    """
    if not _FUNCTION.fullmatch(function) or not all(map(_PARAMETER.fullmatch, parameters)):
        raise InputInvalid(f"{function} is not a function that may be called.")


async def repeat_rolled_back(once: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Return what the call returns, tried again while its transaction was only rolled back.

    Raises:
        DatabaseContended: Rolled back each time.
    """
    for attempt in range(_TRIES):
        try:
            return await once()
        except DatabaseContended as error:
            if not error.rolled_back or attempt == _TRIES - 1:
                raise
        jitter = clock.random()
        await clock.sleep(
            backoff_s(attempt, base_s=_RETRY_BASE_S, limit_s=_RETRY_LIMIT_S, jitter=jitter)
        )
    raise AssertionError("the last try returns or raises")
