"""The gateway over a direct connection, or through a pooler, by asyncpg."""

from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

import asyncpg
import pydantic_core

from backend.integrations.supabase import jsonb
from backend.integrations.supabase.calls import RETURN_SETS, check_names, repeat_rolled_back
from backend.integrations.supabase.sqlstates import CONNECTION_ERRORS, place_of, translate
from backend.ports.clock import Clock
from backend.ports.gateway import SERVICE, Caller, Identity

_BECOME = (
    "select pg_catalog.set_config('role', 'authenticated', true),"
    " pg_catalog.set_config('request.jwt.claims', $1, true)"
)


class _Connection(asyncpg.Connection):
    """Needs no reset: roles and settings here never outlive a transaction."""

    def get_reset_query(self) -> str:
        return ""


class AsyncpgGateway:
    """A pool that is filled as needed and heals by itself after the database was away."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        size: int,
        timeout_s: float,
        through_pooler: bool = False,
        name: str = "assistants",
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: The service's login.
            clock: Spreads retries.
            size: The most connections at a time.
            timeout_s: For getting a connection and for each statement.
            through_pooler: Connections change between transactions: nothing may outlive one.
            name: What the server's own lists call us.
        """
        self._clock = clock
        self._where = place_of(url)
        self._timeout_s = timeout_s
        self._through_pooler = through_pooler
        self._statements: dict[tuple[str, ...], str] = {}
        self._pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            init=self._prepare,
            timeout=timeout_s,
            connection_class=_Connection,
            statement_cache_size=0 if through_pooler else 100,
            server_settings={"application_name": name},
        )

    async def __aenter__(self) -> Self:
        await self._pool
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.terminate()

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        """Return what the function returned; a set, as a list of its rows.

        Raises:
            DatabaseUnavailable: No connection, or lost on the way: it may have taken effect.
            DatabaseContended: Rolled back each time it was tried.
            Rejected: The function refuses, in one of the subclasses that say why.
        """
        statement = self._statement(function, tuple(arguments))
        once = partial(self._translated, function, statement, arguments, identity)
        return await repeat_rolled_back(once, self._clock)

    async def _translated(
        self, function: str, statement: str, arguments: Mapping[str, Any], identity: Identity
    ) -> Any:
        try:
            return await self._once(statement, arguments, identity)
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            # The cause would carry the server's text, which may quote rows.
            raise translate(error, doing=function, where=self._where) from None

    async def _once(self, statement: str, arguments: Mapping[str, Any], identity: Identity) -> Any:
        async with self._pool.acquire(timeout=self._timeout_s) as connection:
            try:
                return await self._run(connection, statement, arguments, identity)
            except TimeoutError:
                # The driver is telling the server to stop; hanging up now would leave it at work.
                raise
            except CONNECTION_ERRORS:
                # In an unknown state: nobody may get it after us.
                connection.terminate()
                raise

    async def _run(
        self, connection: Any, statement: str, arguments: Mapping[str, Any], identity: Identity
    ) -> Any:
        if not isinstance(identity, Caller) and not self._through_pooler:
            return await self._fetch(connection, statement, arguments)
        # Behind a transaction pooler even one statement is two trips that must not be parted.
        async with connection.transaction():
            if isinstance(identity, Caller):
                claims = pydantic_core.to_json(identity.claims).decode()
                await connection.execute(_BECOME, claims, timeout=self._timeout_s)
            return await self._fetch(connection, statement, arguments)

    async def _fetch(self, connection: Any, statement: str, arguments: Mapping[str, Any]) -> Any:
        return await connection.fetchval(statement, *arguments.values(), timeout=self._timeout_s)

    def _statement(self, function: str, parameters: tuple[str, ...]) -> str:
        key = (function, *parameters)
        if (known := self._statements.get(key)) is not None:
            return known
        check_names(function, parameters)
        given = ", ".join(f"{name} => ${number}" for number, name in enumerate(parameters, 1))
        statement = f"select {function}({given})"
        if function in RETURN_SETS:
            rows = "select coalesce(jsonb_agg(to_jsonb(r)), '[]') from"
            statement = f"{rows} {function}({given}) as r"
        self._statements[key] = statement
        return statement

    async def _prepare(self, connection: Any) -> None:
        async with connection.transaction():
            await connection.set_type_codec(
                "jsonb",
                schema="pg_catalog",
                encoder=jsonb.encode,
                decoder=jsonb.decode,
                format="binary",
            )
