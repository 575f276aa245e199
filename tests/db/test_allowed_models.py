"""Which models users may name: one by one, by provider, by a beginning."""

from typing import Any

import asyncpg
import pytest

from tests.support.chat import Chat


@pytest.mark.parametrize(
    ("listed", "model", "allowed"),
    [
        ("openai:gpt-6-luna", "openai:gpt-6-luna", True),
        ("openai:gpt-6-luna", "openai:gpt-6-luna-2", False),
        ("openai:*", "openai:gpt-6-luna", True),
        ("openai:*", "openai-eu:gpt-6-luna", False),
        ("openai:*", "anthropic:openai:x", False),
        ("openai:gpt-6-*", "openai:gpt-6-luna", True),
        ("openai:gpt-6-*", "openai:gpt-5.4", False),
        ("vllm:a_b*", "vllm:a_bc", True),
        ("vllm:a_b*", "vllm:axbc", False),
        ("vllm:a%*", "vllm:abc", False),
    ],
)
@pytest.mark.parametrize("use", ["model", "fallback"])
async def test_an_entry_with_a_star_allows_what_begins_so(
    chat: Chat, listed: str, model: str, allowed: bool, use: str
) -> None:
    await chat.configure(user_models=["offline:demo", listed])
    columns: dict[str, Any] = {"model": model}
    if use == "fallback":
        columns = {"options": {"fallback_models": ["offline:demo", model]}}

    if allowed:
        made = await chat.ada.insert("assistants", name="Mine", **columns)
        assert made["name"] == "Mine"
        return
    with pytest.raises(asyncpg.CheckViolationError, match="not on the list") as refused:
        await chat.ada.insert("assistants", name="No", **columns)
    assert model in str(refused.value.args[0])
    assert refused.value.hint == f"Allowed: offline:demo, {listed}"


@pytest.mark.parametrize(
    "listed",
    [[], ["offline:demo"], ["openai:*"], ["openai:gpt-6-*", "vllm:meta/llama-3.2"]],
    ids=str,
)
async def test_a_list_of_models_is_kept(chat: Chat, listed: list[str]) -> None:
    await chat.configure(user_models=listed)

    assert await chat.worker.call("list_models") == listed


@pytest.mark.parametrize(
    "entry",
    [
        "foo bar",
        "gpt-4",
        "*",
        "openai",
        "openai:",
        "OpenAI:*",
        "openai:*-luna",
        "openai:**",
        "a: b",
        None,
    ],
)
async def test_an_entry_that_could_allow_no_model_is_refused(chat: Chat, entry: str | None) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await chat.configure(user_models=["offline:demo", entry])

    named = refused.value.as_dict()["constraint_name"]
    assert named == "settings_user_models_are_provider_and_name"
