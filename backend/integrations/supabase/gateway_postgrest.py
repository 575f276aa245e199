"""The gateway over HTTP, by postgrest-py: for projects whose URL and keys are all that one has."""

import asyncio
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from postgrest import AsyncPostgrestClient

from backend.errors import DatabaseUnavailable, InputInvalid, NotPermitted
from backend.integrations.supabase import jsonb, postgrest_errors
from backend.integrations.supabase.calls import check_names, repeat_rolled_back
from backend.ports.clock import Clock
from backend.ports.gateway import SERVICE, Caller, Identity

_CONNECT_TIMEOUT_S = 5.0
_IDLE_S = 3.0
"""Less than servers wait before they hang up (Node: 5 s): a call must not meet that, for nothing
tells it from one that took effect."""


class PostgrestGateway:
    """Calls functions of the schema `public`: `service_*` and `act_as_*`, or a user's own.

    Nothing is sent twice by the libraries below: every write holds only under a fence, so whoever
    calls knows what a repetition means.
    """

    def __init__(  # noqa: PLR0913 - a URL, two keys and three measures
        self,
        url: str,
        clock: Clock,
        *,
        secret_key: str,
        publishable_key: str | None = None,
        size: int,
        timeout_s: float,
        name: str = "assistants",
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: The project's, without a path.
            clock: Spreads retries.
            secret_key: `sb_secret_…`, or a legacy service_role key.
            publishable_key: For users with a token of their own.
            size: The most connections at a time.
            timeout_s: For a whole call; the server has its own limits.
            name: The user agent.
        """
        self._clock = clock
        self._timeout_s = timeout_s
        self._where = urlsplit(url).netloc.rpartition("@")[2]
        self._url = f"{url.rstrip('/')}/rest/v1"
        self._publishable_key = publishable_key
        self._session = httpx.AsyncClient(
            headers={"user-agent": name},
            timeout=httpx.Timeout(timeout_s, connect=min(_CONNECT_TIMEOUT_S, timeout_s)),
            limits=httpx.Limits(
                max_connections=size, max_keepalive_connections=size, keepalive_expiry=_IDLE_S
            ),
            follow_redirects=False,
            # Without TLS nobody is asked by way of a proxy that the environment names.
            mounts={"http://": None},
        )
        self._service = self._client(secret_key, secret_key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.aclose()

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        """Return what the function returned; a set, as a list of its rows.

        Raises:
            DatabaseUnavailable: No answer, or none of PostgREST's: it may have taken effect.
            DatabaseContended: Rolled back each time it was tried.
            Unauthenticated: The project does not accept the caller's token.
            Rejected: The function refuses, in one of the subclasses that say why.
        """
        check_names(function, arguments)
        schema, _, name = function.partition(".")
        given = dict(arguments)
        client = self._service
        if not isinstance(identity, Caller):
            # What is a user's alone, the secret key is refused by the project itself.
            name = f"service_{name}" if schema == "engine" else name
        elif schema == "engine":
            raise NotPermitted(f"{function} is the service's alone.")
        elif identity.token is None:
            name = f"act_as_{name}"
            given["p_claims"] = {**identity.claims, "role": "authenticated"}
        else:
            client = self._client(self._publishable_key or "", identity.token)
        once = partial(self._once, client, name, jsonb.storable(given), identity)
        return await repeat_rolled_back(once, self._clock)

    async def _once(
        self, client: AsyncPostgrestClient, name: str, given: Any, identity: Identity
    ) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                # Its own reading trusts whatever comes with 200, and forgets the status of the rest.
                sending: Any = client.rpc(name, given).request.send(httpx.Headers())
                response = await sending
        except (httpx.HTTPError, TimeoutError) as error:
            said = f"{name}: no answer from SUPABASE_URL {self._where} ({type(error).__name__})."
            raise DatabaseUnavailable(said) from None
        except (httpx.InvalidURL, ValueError):
            raise InputInvalid(f"{name} was given what no request can carry.") from None
        of_caller = isinstance(identity, Caller)
        return postgrest_errors.read(response, doing=name, of_caller=of_caller)

    def _client(self, key: str, bearer: str) -> AsyncPostgrestClient:
        headers = {"apikey": key, "authorization": f"Bearer {bearer}"}
        return AsyncPostgrestClient(
            self._url, headers=headers, http_client=self._session, retry_enabled=False
        )
