"""Whether this process lives, and whether an answer can be had."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backend.ports.clock import Clock

_FRESH_S = 1.0
PROBES: Final = frozenset({"/healthz", "/readyz"})
"""What load balancers ask: never refused for being busy, and hardly worth a line in the log."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What must be true before a message is answered."""

    database: bool
    schema: bool
    """The database's newest migration is the newest of this installation."""
    worker: bool
    """A worker has lately said that it is there."""

    @property
    def is_ready(self) -> bool:
        """Whether a message that is inserted now would be answered."""
        return self.database and self.schema and self.worker


ReadinessProbe: TypeAlias = Callable[[], Awaitable[Readiness]]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """What a message needs, and whether it is there."""

    status: Literal["ready", "not_ready"]
    database: bool
    is_migrated: bool = Field(serialization_alias="schema")
    worker: bool


class RecentReadiness:
    """Asks at most once a second, and once at a time: anybody may ask us, signed in or not."""

    def __init__(self, probe: ReadinessProbe, clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self._asking: asyncio.Task[Readiness] | None = None
        self._stale_at = 0.0

    async def __call__(self) -> Readiness:
        """Return what was found, up to a second ago."""
        if self._asking is None or (
            self._asking.done() and self._clock.monotonic() >= self._stale_at
        ):
            self._asking = asyncio.create_task(self._ask())
        # Whoever goes away takes the answer from nobody else.
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Readiness:
        try:
            return await self._probe()
        finally:
            self._stale_at = self._clock.monotonic() + _FRESH_S


def health_routes(probe: ReadinessProbe) -> APIRouter:
    """Return `/healthz` and `/readyz`, which load balancers ask."""
    routes = APIRouter(tags=["health"])

    # The lowest decorator comes first: a 405 names its method as the one to use.
    @routes.head("/healthz", include_in_schema=False)
    @routes.get("/healthz")
    async def healthz() -> Alive:
        """Say that the process answers; it depends on nothing."""
        return Alive()

    @routes.head("/readyz", include_in_schema=False)
    @routes.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
    async def readyz() -> JSONResponse:
        """Say 200 where a message would be answered, else 503 and what is missing."""
        found = await probe()
        answer = Ready(
            status="ready" if found.is_ready else "not_ready",
            database=found.database,
            is_migrated=found.schema,
            worker=found.worker,
        )
        return JSONResponse(answer.model_dump(by_alias=True), 200 if found.is_ready else 503)

    return routes
