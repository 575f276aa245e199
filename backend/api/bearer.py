"""Who is asking: the token of the Authorization header, and of nowhere else."""

import structlog
from starlette.requests import Request

from backend.domain.identity import SignedIn
from backend.errors import Unauthenticated
from backend.ports.identity import TokenVerifier
from backend.telemetry.names import TOKEN_REFUSED

_log = structlog.get_logger()


async def signed_in(request: Request, verifier: TokenVerifier) -> SignedIn:
    """Return who asks.

    Raises:
        Unauthenticated: There is no token that holds.
        IdentityUnavailable: No token can be verified now.
    """
    try:
        return await verifier.verify(_token(request))
    except Unauthenticated as refused:
        _log.info(TOKEN_REFUSED, why=refused.why)
        raise


def _token(request: Request) -> str:
    values = request.headers.getlist("authorization")
    if len(values) != 1:
        raise Unauthenticated("missing" if not values else "ambiguous")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("scheme")
    return token
