"""A model that will not is no model that was cut short."""

import json
from typing import Any

import pytest

from backend.ports.models import Finished, TextDelta
from tests.models.accounts import Accounts
from tests.models.asking import ask, heard, text_of
from tests.models.canned import Canned, created, delta, ended, event
from tests.models.dialects import DIALECTS, whole

_PIECES = ("I can't ", "do that.")


def _by_openai() -> list[Any]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    pieces = [event("response.refusal.delta", **place, delta=it) for it in _PIECES]
    return [created(), *pieces, ended()]


def _by_anthropic() -> list[Any]:
    told = whole(DIALECTS["anthropic"], reason="content_filter")
    end = json.loads(told[-2].partition(b"data: ")[2])
    end["delta"]["stop_details"] = {
        "type": "refusal",
        "category": "cyber",
        "explanation": "".join(_PIECES),
    }
    told[-2] = f"event: message_delta\ndata: {json.dumps(end)}\n\n".encode()
    return told


def _by_a_compatible_server() -> list[Any]:
    head, *_, counted, done = whole(DIALECTS["compatible"])
    deltas = [{"refusal": it} for it in _PIECES]
    said = [{**head, "choices": [{"index": 0, "delta": it}]} for it in deltas]
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [head, *said, end, counted, done]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("openai", _by_openai()),
        ("anthropic", _by_anthropic()),
        ("compatible", _by_a_compatible_server()),
    ],
)
async def test_a_refusal_is_told_in_the_models_words_and_called_one(
    canned: Canned, accounts: Accounts, name: str, told: list[Any]
) -> None:
    canned.will_stream(*told)
    events = await heard(accounts.at(canned.url_of(name), name), ask("Do that"))
    assert text_of(events) == "I can't do that."
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "refusal"


async def test_a_refusal_after_some_words_stands_apart_from_them(
    canned: Canned, accounts: Accounts
) -> None:
    place = {"item_id": "msg_2", "output_index": 1, "content_index": 0}
    refused = event("response.refusal.delta", **place, delta="No.")
    canned.will_stream(created(), delta("Let me see."), refused, ended())
    events = await heard(accounts.at(canned.base_url), ask("Do that"))
    assert events[:2] == [TextDelta("Let me see."), TextDelta("\n\nNo.")]
