"""Which frontends may call from a browser."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from backend.api.errors import refusal

_METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")
_ASKED = ("authorization", "content-type", "last-event-id", "x-request-id")
_SHOWN = ("x-request-id", "retry-after")


class Cors(CORSMiddleware):
    """Lets the listed origins in, and nobody else; cookies play no part here."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ASKED,
            expose_headers=_SHOWN,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight, in our shape where it is a refusal."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < HTTPStatus.BAD_REQUEST:
            return answer
        kept = {name: it for name, it in answer.headers.items() if not name.startswith("content-")}
        return refusal(answer.status_code, kept, message="Not from this origin, or not like this.")
