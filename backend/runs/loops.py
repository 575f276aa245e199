"""Steps repeated until told to stop, whatever fails."""

from collections.abc import Awaitable, Callable

import structlog

from backend.domain.backoff import backoff_s
from backend.errors import AssistantsError
from backend.ports.clock import Clock
from backend.telemetry.defects import describe, explain
from backend.telemetry.names import STEP_FAILED

_log = structlog.get_logger()
_BASE_S = 0.05
_LIMIT_S = 5.0


async def repeat(
    step: Callable[[], Awaitable[None]],
    clock: Clock,
    *,
    name: str,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Run the step again and again; after a failure it waits, longer each time.

    Args:
        step: Waits by itself for something to do.
        clock: For the waits between failures.
        name: For the log.
        until: Asked before each step; true ends the loop.
    """
    failures = 0
    while not until():
        try:
            await step()
            failures = 0
        except Exception as error:  # noqa: BLE001 - as follows
            # A worker outlives its database, and a defect in one step must not end the others.
            code = error.code if isinstance(error, AssistantsError) else "internal_error"
            keys = {**describe(error), **explain(error)}
            _log.warning(STEP_FAILED, step=name, code=code, failures=failures, **keys)
            wait_s = backoff_s(failures, base_s=_BASE_S, limit_s=_LIMIT_S, jitter=clock.random())
            failures += 1
            await clock.sleep(wait_s)
