"""One question over HTTP to a project, whatever answers: bounded in time and size, and never raised."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

_TIMEOUT_S = 5.0
_MOST_BYTES = 256_000
_CODE = re.compile(r"PGRST[0-9A-Z]{2,3}|[0-9A-Z]{5}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    """0 where nothing usable did."""
    why: str = ""
    """Why nothing did: a word or two, never a part of what was sent or received."""
    body: Any = None
    """The JSON value; None where it was none."""
    is_json: bool = False

    @property
    def code(self) -> str:
        """PostgREST's or PostgreSQL's code; empty where somebody else answered."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return code if isinstance(code, str) and _CODE.fullmatch(code) else ""

    @property
    def is_success(self) -> bool:
        """Whether it is 2xx and JSON."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES and self.is_json

    @property
    def is_trouble(self) -> bool:
        """Whether nobody answered, or somebody unwell: it tells nothing about what was asked."""
        return self.status == 0 or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    def __str__(self) -> str:
        return self.why or f"HTTP {self.status}" + (f" {self.code}" if self.code else "")


class Project:
    """The HTTP side of a project."""

    def __init__(
        self, url: str, client: httpx.AsyncClient, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Nothing is asked yet.

        Args:
            url: Of the project, without a path.
            client: From `open_client`.
            timeout_s: For each question and its whole answer, however slowly it drips.
        """
        self.url = url.rstrip("/")
        self._client = client
        self._timeout_s = timeout_s

    async def ask(
        self,
        path: str,
        *,
        key: str | None = None,
        token: str | None = None,
        schema: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Return what is answered to this GET, or POST where there is a body.

        Args:
            path: Below the project's URL.
            key: As `apikey`, and as the bearer where there is no token.
            token: A user's.
            schema: Instead of `public`.
            body: Becomes JSON.
        """
        headers = {"apikey": key} if key else {}
        if bearer := token or key:
            headers["authorization"] = f"Bearer {bearer}"
        if schema:
            headers["content-profile" if body is not None else "accept-profile"] = schema
        method = "GET" if body is None else "POST"
        try:
            request = self._client.build_request(
                method, self.url + path, headers=headers, json=body
            )
            async with asyncio.timeout(self._timeout_s):
                return await self._answer(request)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(0, "no answer in time")
        except httpx.HTTPError as error:
            return Answer(0, type(error).__name__)
        except (httpx.InvalidURL, ValueError):
            return Answer(0, "no request can carry this")

    async def _answer(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            content = bytearray()
            # Raw: a compressed answer, which we did not ask for, could unfold without end.
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _MOST_BYTES:
                    return Answer(0, "an answer without end")
        finally:
            await response.aclose()
        try:
            return Answer(response.status_code, body=json.loads(content), is_json=True)
        except (ValueError, RecursionError):
            return Answer(response.status_code)


def open_client() -> httpx.AsyncClient:
    """Return a client that goes nowhere else and gets bytes as long as they are."""
    return httpx.AsyncClient(
        follow_redirects=False,
        headers={"accept-encoding": "identity"},
        timeout=_TIMEOUT_S,
        # Without TLS only this machine is asked, never a proxy that the environment names.
        mounts={"http://": None},
    )
