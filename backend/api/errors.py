"""One shape for every error that leaves the service, and who makes it of what."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from backend.api.invalid_fields import describe_fields
from backend.api.request_ids import current_request_id
from backend.errors import AssistantsError, DatabaseRejected, RequestInvalid, Unauthenticated
from backend.telemetry.names import REQUEST_REFUSED

_log = structlog.get_logger()

_CODES = {
    400: ("request_invalid", "The request cannot be read."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
    408: ("request_timeout", "The request's body took too long to arrive."),
    413: ("payload_too_large", "The request's body is over the limit."),
    500: ("internal_error", "Something went wrong here; please quote the request id."),
    503: ("overloaded", "There is too much to do just now; please try again."),
}


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str
    """The contract: clients decide by it."""
    message: str
    """Prose for people; it may change."""
    request_id: str
    """As in the header `x-request-id` and in the service's log."""


class ErrorAnswer(BaseModel):
    """The body of every answer from 400 up."""

    error: ErrorDetail


DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": ErrorAnswer, "description": "Refused; trying again changes nothing."},
    "5XX": {"model": ErrorAnswer, "description": "Failed; trying again later may work."},
}


def refusal(
    status: int, headers: Mapping[str, str] | None = None, *, message: str = ""
) -> JSONResponse:
    """Return the answer for a bare HTTP status.

    Args:
        status: 400 or above.
        headers: For the answer.
        message: Instead of the status's own.
    """
    code, prose = _CODES.get(status) or (f"http_{status}", HTTPStatus(status).phrase)
    return _answer(status, code, message or prose, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Every error that a route raises on purpose has our shape."""
    app.add_exception_handler(AssistantsError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_our_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, AssistantsError):
        raise TypeError
    status = error.http_status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        write = _log.error if status == HTTPStatus.INTERNAL_SERVER_ERROR else _log.warning
    else:
        write = _log.info
    write(REQUEST_REFUSED, code=error.code, status=status, **_why(error))
    message = str(error) if status != HTTPStatus.INTERNAL_SERVER_ERROR else _CODES[500][1]
    return _answer(status, error.code, message, _headers(error))


async def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise TypeError
    return refusal(RequestInvalid.http_status, message=describe_fields(error.errors()))


async def _on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise TypeError
    # Its detail was written by a library, and may quote the request.
    return refusal(error.status_code, error.headers)


def _why(error: AssistantsError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"why": error.why}
    return {"sqlstate": error.sqlstate} if isinstance(error, DatabaseRejected) else {}


def _headers(error: AssistantsError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"www-authenticate": "Bearer"}
    retry_after_s = getattr(error, "retry_after_s", None)
    return {} if retry_after_s is None else {"retry-after": str(max(1, math.ceil(retry_after_s)))}


def _answer(
    status: int, code: str, message: str, headers: Mapping[str, str] | None
) -> JSONResponse:
    detail = ErrorDetail(code=code, message=message, request_id=current_request_id())
    return JSONResponse(ErrorAnswer(error=detail).model_dump(), status, headers)
