"""What a refusal in PostgREST's form says."""

import json
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest


@dataclass(frozen=True)
class Refusal:
    """One limit, and when to come back."""

    limit: str
    wait_s: int
    said: str


def read(error: asyncpg.PostgresError) -> Refusal:
    """Return the refusal; what PostgREST could not answer as 429 fails the test."""
    body, answer = json.loads(str(error.args[0])), json.loads(str(error.as_dict()["detail"]))
    details = json.loads(body["details"])
    assert (error.sqlstate, body["code"], answer["status"]) == ("PGRST", "PT429", 429)
    # PostgREST takes texts as headers and nothing else.
    assert answer["headers"] == {"Retry-After": str(details["retry_after_s"])}
    assert {key: type(value) for key, value in body.items()} == dict.fromkeys(body, str)
    return Refusal(details["limit"], details["retry_after_s"], body["message"])


async def refused(action: Awaitable[Any]) -> Refusal:
    """Return how the action is refused."""
    with pytest.raises(asyncpg.PostgresError) as raised:
        await action
    return read(raised.value)
