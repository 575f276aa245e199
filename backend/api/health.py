"""Whether this process lives, and whether an answer can be had."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import APIRouter
from fastapi.responses import JSONResponse


@dataclass(frozen=True, slots=True)
class Readiness:
    """What must be true before a message is answered."""

    database: bool
    schema: bool
    """The database's newest migration is the newest of this installation."""
    worker: bool
    """A worker is connected to the database."""

    @property
    def is_ready(self) -> bool:
        """Whether a message that is inserted now would be answered."""
        return self.database and self.schema and self.worker


ReadinessProbe: TypeAlias = Callable[[], Awaitable[Readiness]]


def health_routes(probe: ReadinessProbe) -> APIRouter:
    """Return `/healthz` and `/readyz`, which load balancers ask."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process answers; it depends on nothing."""
        return {"status": "alive"}

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        """Say 200 where a message would be answered, else 503 and what is missing."""
        found = await probe()
        parts = {"database": found.database, "schema": found.schema, "worker": found.worker}
        status = "ready" if found.is_ready else "not_ready"
        return JSONResponse({"status": status, **parts}, 200 if found.is_ready else 503)

    return routes
