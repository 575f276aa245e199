"""The HTTP application."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from backend.api.health import ReadinessProbe, health_routes
from backend.errors import AssistantsError


def create_app(probe: ReadinessProbe) -> FastAPI:
    """Return the application; each of our errors becomes `{"error": {"code", "message"}}`."""
    app = FastAPI(title="supa-assistants", docs_url=None, redoc_url=None)
    app.include_router(health_routes(probe))
    app.add_exception_handler(AssistantsError, _refuse)
    return app


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    code = error.code if isinstance(error, AssistantsError) else AssistantsError.code
    status = error.http_status if isinstance(error, AssistantsError) else 500
    return JSONResponse({"error": {"code": code, "message": str(error)}}, status)
