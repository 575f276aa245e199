"""The attempts of the matrix as requests of supabase-py, and what each is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from postgrest.exceptions import APIError
from supabase import Client, ClientOptions, create_client

from tests.support.operations import Operation

RESTORE, FINGERPRINT = "restore_world", "world_fingerprint"
"""Functions of the database, for the secret key; see matrix_restoring.py."""


@dataclass(frozen=True)
class Attempt:
    """A request of somebody."""

    id: str
    who: str
    operation: Operation
    restores: bool
    """Whether the rows have to be put back afterwards."""


@dataclass(frozen=True)
class Script:
    """What a client does, in whichever language."""

    url: str
    keys: Mapping[str, str]
    """`publishable` and `secret`."""
    bearers: Mapping[str, str | None]
    """The tokens, by who has them; None for a visitor."""
    attempts: list[Attempt]
    """In this order: the first ones change nothing."""
    keeps: bool
    """Whether the project has the functions that tell of changes and put rows back."""


def answers_to(script: Script) -> dict[str, Any]:
    """Return what each attempt is answered: its status, and a number of rows or the error."""
    last: list[int] = []
    hooks = {"response": [lambda response: last.append(response.status_code)]}
    with httpx.Client(timeout=30, event_hooks=hooks) as transport:
        operator = _client(script.url, script.keys["secret"], None, transport)
        clients = {
            who: _client(script.url, script.keys["publishable"], bearer, transport)
            for who, bearer in script.bearers.items()
        }

        def ask(name: str) -> Any:
            return operator.rpc(name, {}).execute().data if script.keeps else None

        found: dict[str, Any] = {"before": ask(FINGERPRINT)}
        for attempt in script.attempts:
            if attempt.restores and "between" not in found:
                found["between"] = ask(FINGERPRINT)
                ask(RESTORE)
            answer = _answer(clients[attempt.who], attempt.operation)
            found[attempt.id] = [last[-1], *answer]
            if attempt.restores:
                ask(RESTORE)
        found["after"] = ask(FINGERPRINT)
    return found


def _client(url: str, key: str, bearer: str | None, transport: httpx.Client) -> Client:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return create_client(url, key, ClientOptions(headers=headers, httpx_client=transport))


def _answer(client: Client, tried: Operation) -> list[Any]:
    try:
        return [_rows(tried, _request(client, tried).execute())]
    except APIError as error:
        return [error.code, error.message, error.details, error.hint]


def _request(client: Client, tried: Operation) -> Any:
    if tried.verb == "call":
        return client.rpc(tried.target, dict(tried.values))
    table: Any = client.table(tried.target)
    conflict = {"on_conflict": tried.on.replace(" ", "")}
    made = {
        "select": lambda: table.select("*"),
        "count": lambda: table.select("*", count="exact"),
        "embed": lambda: table.select(f"id, {tried.on.split()[0]}(id)"),
        "insert": lambda: table.insert(dict(tried.values)),
        "update": lambda: table.update(dict(tried.values)),
        "delete": table.delete,
        "merge": lambda: table.upsert(dict(tried.values), **conflict),
        "ignore": lambda: table.upsert(dict(tried.values), **conflict, ignore_duplicates=True),
    }[tried.verb]()
    for name, value in tried.where.items():
        made = made.eq(name, value)
    if tried.verb in {"update", "delete"} and not tried.where:
        made = made.not_.is_("id", "null")
    return made


def _rows(tried: Operation, answer: Any) -> int:
    if tried.verb == "count":
        return int(answer.count)
    if tried.verb == "embed":
        inside = (row[tried.on.split()[0]] for row in answer.data)
        return sum(len(it) if isinstance(it, list) else it is not None for it in inside)
    if isinstance(answer.data, list):
        return len(answer.data)
    return int(answer.data is not None)
