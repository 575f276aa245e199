"""How a request begins: alike for as long as possible, and with the user's words where need be."""

from dataclasses import replace
from typing import Any

import pytest

from backend.domain.asker import Asker
from tests.models.accounts import Accounts
from tests.models.asking import COIN, DICE, ask, heard, said
from tests.models.canned import Canned
from tests.models.dialects import DIALECTS, whole

_ADA = Asker("user_ada", assistant_id="asst_1", run_id="run_1", claims={"sub": "user_ada"})
_CACHED = {"type": "ephemeral", "ttl": "5m"}


async def sent(canned: Canned, accounts: Accounts, name: str, *turns: Any, **fields: Any) -> Any:
    canned.requests.clear()
    canned.will_stream(*whole(DIALECTS[name], DIALECTS[name].say("Hello")))
    await heard(accounts.at(canned.url_of(name), name), ask(*turns, **fields))
    return canned.requests[0]


@pytest.mark.parametrize("name", ["mistral", "openai"])
async def test_requests_that_begin_alike_have_a_key_that_says_nothing_of_who_asks(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    askers = (
        _ADA,
        replace(_ADA, run_id="run_2", priority=5),
        replace(_ADA, user_id="user_bob"),
        replace(_ADA, assistant_id="asst_2"),
        replace(_ADA, org_id="org_1"),
    )
    keys = []
    for asker in askers:
        body = await sent(canned, accounts, name, "Hi", asker=asker)
        keys.append(body["prompt_cache_key"])
        assert "user_ada" not in str(body)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


@pytest.mark.parametrize("name", ["anthropic", "compatible"])
async def test_nothing_of_who_asks_is_told_where_no_key_is_known(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    assert "prompt_cache_key" not in await sent(canned, accounts, name, "Hi", asker=_ADA)


async def test_anthropic_caches_tools_instructions_and_the_conversation(
    canned: Canned, accounts: Accounts
) -> None:
    body = await sent(
        canned, accounts, "anthropic", "Hi", tools=(DICE, COIN), instructions="Be brief."
    )
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, _CACHED]
    assert body["system"][-1]["cache_control"] == _CACHED
    assert body["cache_control"] == _CACHED


async def test_a_later_request_goes_on_where_an_earlier_one_ended(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    fields = {"tools": (DICE, COIN), "instructions": "Be brief.", "asker": _ADA}
    turns = ["Hi", said("assistant", "Hello"), "How are you?"]
    field = "input" if name == "openai" else "messages"
    first = await sent(canned, accounts, name, *turns, **fields)
    more = [said("assistant", "Well."), "And now?"]
    second = await sent(canned, accounts, name, *turns, *more, **fields)
    assert second[field][: len(first[field])] == first[field]
    for same in ("tools", "system", "instructions"):
        assert first.get(same) == second.get(same)


async def test_who_insists_on_the_users_words_first_gets_some(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    body = await sent(canned, accounts, name, said("assistant", "Welcome!"), "Hi")
    told = body["input" if name == "openai" else "messages"]
    roles = [it["role"] for it in told]
    begins = [] if name == "openai" else ["user"]
    assert roles == [*begins, "assistant", "user"]
