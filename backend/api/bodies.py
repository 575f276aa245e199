"""Request bodies that strangers send: read up to a limit, in time, and parsed strictly."""

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from backend.errors import PayloadTooLarge, RequestInvalid


async def read_body(request: Request, *, limit_bytes: int, within_s: float) -> bytes:
    """Return the body as it came, never holding more than the limit.

    Raises:
        PayloadTooLarge: It is longer, or says so beforehand.
        RequestInvalid: It did not end in time, or its sender hung up.
    """
    too_large = PayloadTooLarge(f"The body is over {limit_bytes} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:18]) > limit_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limit_bytes:
                    raise too_large
                body += chunk
    except TimeoutError:
        raise RequestInvalid(f"The body did not arrive within {within_s} seconds.") from None
    except ClientDisconnect:
        raise RequestInvalid("The body did not arrive.") from None
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """Return the value; a name that is there twice or a number that is none is no JSON here.

    Raises:
        RequestInvalid: It is not UTF-8, not JSON, or nested too deeply.
    """
    try:
        return json.loads(
            body.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite
        )
    except (ValueError, RecursionError):
        # The cause would quote the body.
        raise RequestInvalid("The body is not JSON.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is there twice")
    return members


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no numbers")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        _refuse(digits)
    return number
