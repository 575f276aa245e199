"""The HTTP application: routes, and what stands around each of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware

from backend.api.access_log import AccessLog
from backend.api.body_limits import BodyLimits, WholeBodies
from backend.api.cors import Cors
from backend.api.errors import DOCUMENTED, add_error_handlers
from backend.api.failures import Failures
from backend.api.health import ReadinessProbe, RecentReadiness, health_routes
from backend.api.places import Places
from backend.api.request_ids import RequestIds
from backend.api.security_headers import SecurityHeaders
from backend.ports.clock import Clock, SystemClock

# It would hand whole exceptions, texts and all, to whatever OpenTelemetry is set up to do.
_NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What one process takes on."""

    body: BodyLimits = field(default_factory=BodyLimits)
    requests: int = 200
    """Answered at a time, streams not counted."""


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What the application is made of."""

    probe: ReadinessProbe
    routers: Sequence[APIRouter] = ()
    allowed_origins: Sequence[str] = ()
    """Of frontends, as browsers send them; empty lets none in."""
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    clock: Clock = field(default_factory=SystemClock)


def create_app(parts: ServiceParts) -> FastAPI:
    """Return the application; each of its errors is `{"error": {"code", "message", "request_id"}}`."""
    app = FastAPI(
        title="supa-assistants",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # The way from `/x/` to `/x` would be built from the caller's Host header.
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        responses=DOCUMENTED,
        middleware=_around(parts),
    )
    app.include_router(health_routes(RecentReadiness(parts.probe, parts.clock)))
    for router in parts.routers:
        app.include_router(router)
    add_error_handlers(app)
    return app


def _around(parts: ServiceParts) -> list[Middleware]:
    # Outermost first. Whatever refuses stands inside of Cors: a browser may read that, too.
    return [
        Middleware(RequestIds, clock=parts.clock),
        Middleware(SecurityHeaders),
        Middleware(AccessLog, clock=parts.clock),
        Middleware(Cors, origins=tuple(parts.allowed_origins)),
        Middleware(Failures),
        Middleware(WholeBodies, limits=parts.limits.body),
        Middleware(Places, limit=parts.limits.requests),
    ]
