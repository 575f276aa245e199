"""Stand-ins for pg_net and Vault, and a network that loses, triples, delays and reorders."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.cluster import Database

_BATCH = 200
_PAUSE_S = 0.005

# The interface and rights of pg_net 0.20: whoever may use the schema may write to the queue.
_PG_NET = """
create schema net;
create domain net.http_method as text check (value in ('GET', 'POST', 'DELETE'));
create unlogged table net.http_request_queue (
    id bigserial,
    method net.http_method not null,
    url text not null,
    headers jsonb not null,
    body bytea,
    timeout_milliseconds integer not null
);
create function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}',
    timeout_milliseconds integer default 5000
) returns bigint
language plpgsql
as $$
declare
    v_id bigint;
begin
    if url !~ '^https?://[^/[:space:]]+(/[^[:space:]]*)?$' then
        raise exception 'URL using bad/illegal format or missing URL: %', url;
    end if;
    if body is null or params <> '{}' or not exists (
        select from jsonb_each_text(headers) h
        where lower(h.key) = 'content-type' and h.value = 'application/json')
    then
        raise exception 'the stand-in knows no such request';
    end if;
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values ('POST', url, headers, convert_to(body::text, 'UTF8'), timeout_milliseconds)
    returning id into v_id;
    return v_id;
end
$$;
grant usage on schema net to public;
grant all on all tables in schema net to public;
grant all on all sequences in schema net to public;
"""

# Hosted projects let `postgres` read secrets and call the functions; here they are not encrypted.
_VAULT = """
create schema vault;
create table vault.secrets (
    id uuid primary key default gen_random_uuid(), name text unique, secret text not null
);
create view vault.decrypted_secrets as
select id, name, secret, convert_from(decode(secret, 'base64'), 'UTF8') as decrypted_secret
from vault.secrets;
create function vault.create_secret(new_secret text, new_name text default null) returns uuid
language sql
security definer
as $$
    insert into vault.secrets (name, secret)
    values (new_name, encode(convert_to(new_secret, 'UTF8'), 'base64')) returning id
$$;
grant usage on schema vault to postgres;
grant select, delete on vault.secrets, vault.decrypted_secrets to postgres;
"""


def install_pg_net(database: Database) -> None:
    """The database has pg_net's interface; what is asked for stays in the queue."""
    database.execute(_PG_NET)


def install_vault(database: Database) -> None:
    """The database has Vault's interface, and no secret."""
    database.execute(_VAULT)


@dataclass(frozen=True, slots=True)
class Request:
    """One row of pg_net's queue."""

    id: int
    url: str
    headers: dict[str, str]
    body: bytes
    timeout_s: float


class PgNet:
    """Does what pg_net's background worker does: takes requests and sends each once."""

    def __init__(self, connection: Any, client: httpx.AsyncClient) -> None:
        """Nothing is sent yet.

        Args:
            connection: A superuser's, for this object alone.
            client: A new one for each test.
        """
        self._connection = connection
        self._client = client
        self.statuses: list[int | None] = []
        """What was answered to each request that was sent; None for no answer at all."""

    async def configure(self, **secrets: str) -> None:
        """Vault holds these secrets and no others."""
        await self._connection.execute("delete from vault.secrets")
        for name, secret in secrets.items():
            await self._connection.execute("select vault.create_secret($1, $2)", secret, name)

    async def take(self, limit: int = _BATCH) -> list[Request]:
        """Return the oldest requests; the queue holds them no more."""
        rows = await self._connection.fetch(
            "delete from net.http_request_queue where id in"
            " (select id from net.http_request_queue order by id limit $1)"
            " returning id, url, headers, body, timeout_milliseconds / 1000.0 as timeout_s",
            limit,
        )
        taken = [Request(**{**row, "timeout_s": float(row["timeout_s"])}) for row in rows]
        return sorted(taken, key=lambda request: request.id)

    async def send(self, requests: Sequence[Request]) -> list[int | None]:
        """Return the status that each got, all sent at the same time."""
        got = list(await asyncio.gather(*map(self._send, requests)))
        self.statuses += got
        return got

    async def _send(self, request: Request) -> int | None:
        headers = {**request.headers, "User-Agent": "pg_net/0.20.4"}
        try:
            answer = await self._client.post(
                request.url, content=request.body, headers=headers, timeout=request.timeout_s
            )
        except httpx.TransportError:
            return None
        return answer.status_code


class Weather:
    """Decides what becomes of requests on their way; the same seed, the same weather."""

    def __init__(
        self, seed: int, *, drop: float = 0.0, triple: float = 0.0, delay: float = 0.0
    ) -> None:
        """Each request meets one of these fates, or none; the order is always random.

        Args:
            seed: Of the random numbers.
            drop: The share that is lost.
            triple: The share that arrives three times.
            delay: The share that is kept until a later batch.
        """
        self._random = random.Random(seed)
        self._shares = (drop, triple, delay)
        self._late: list[Request] = []
        self.dropped = 0
        self.tripled = 0
        self.delayed = 0

    def pass_through(self, requests: Sequence[Request]) -> list[Request]:
        """Return what arrives now, of these and of what was late."""
        arriving, self._late = self._late, []
        for request in requests:
            drop, triple, delay = self._shares
            fate = self._random.random()
            if fate < drop:
                self.dropped += 1
            elif fate < drop + triple:
                self.tripled += 1
                arriving += [request] * 3
            elif fate < drop + triple + delay:
                self.delayed += 1
                self._late.append(request)
            else:
                arriving.append(request)
        self._random.shuffle(arriving)
        return arriving

    def clear(self) -> list[Request]:
        """Return what is still on its way; nothing is, afterwards."""
        late, self._late = self._late, []
        return late


@asynccontextmanager
async def pumping(net: PgNet, weather: Weather) -> AsyncIterator[None]:
    """Everything that is asked for meets the weather meanwhile; the late arrives at the end."""
    stop = asyncio.Event()

    async def pump() -> None:
        while not stop.is_set():
            await net.send(weather.pass_through(await net.take()))
            await asyncio.sleep(_PAUSE_S)
        while requests := await net.take():
            await net.send(weather.pass_through(requests))
        await net.send(weather.clear())

    task = asyncio.create_task(pump())
    try:
        yield
    finally:
        stop.set()
        await task
