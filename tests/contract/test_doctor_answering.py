"""The doctor names what keeps assistants from answering: their models, the webhook, tools."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.examining import SECRET_KEY, examine
from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.pg_net import install_pg_net, install_vault

WEBHOOK = "assistants_webhook"


async def test_without_a_default_assistant_nobody_would_answer(
    chat: Chat, service_url: str
) -> None:
    await chat.configure(default_assistant_id=None)
    found = await examine(database_url=service_url)
    assert found["default assistant"].level == "fail"
    assert "migrate --seed" in found["default assistant"].advice


async def test_models_that_nobody_serves_are_found(chat: Chat, service_url: str) -> None:
    await chat.admin.execute("update public.assistants set model = 'openai:gpt-5-mini'")
    await chat.configure(user_models=["offline:demo", "openai:gpt-5-mini"])
    found = await examine(database_url=service_url)
    assert found["default assistant"].level == "fail"
    assert found["users' models"].level == "warn"
    assert "OPENAI_API_KEY" in found["default assistant"].advice

    found = await examine(database_url=service_url, openai_api_key="sk-s3cret")
    assert found["default assistant"].ok
    assert "users' models" not in found


async def test_all_models_of_users_and_budgets_that_nobody_serves_are_named(
    chat: Chat, service_url: str
) -> None:
    await chat.configure(user_models=["offline:*", "openai:*", "mistral:a", "openai:gpt-6-luna"])
    await chat.admin.execute(
        "insert into engine.budgets (scope, period, soft_usd, cheaper_model) values"
        " ('user', 'day', 1, 'nosuch:cheap'), ('user', 'month', 1, 'offline:demo')"
    )
    found = await examine(database_url=service_url)
    users, budgets = found["users' models"], found["budgets"]
    assert (users.level, budgets.level) == ("warn", "warn")
    assert "openai:*, mistral:a, openai:gpt-6-luna, which nobody" in users.found
    assert "offline" not in users.found
    assert "OPENAI_API_KEY for openai:… models and MISTRAL_API_KEY" in users.advice
    assert "answers nosuch:cheap, which" in budgets.found
    assert "COMPATIBLE_BASE_URL" in budgets.advice
    assert "Near to" not in users.advice + budgets.advice

    found = await examine(
        database_url=service_url,
        openai_api_key="sk-1",
        mistral_api_key="sk-2",
        compatible_base_url="nosuch=http://localhost:11434/v1",
    )
    assert not {"users' models", "budgets"} & found.keys()


async def test_the_name_of_a_provider_that_is_nearly_right_is_told(
    chat: Chat, service_url: str
) -> None:
    await chat.admin.execute("update public.assistants set model = 'opnai:gpt-5'")
    found = await examine(database_url=service_url)
    assert found["default assistant"].advice.startswith("Near to opnai: openai. Set ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"openai_api_key": " "}, "OPENAI_API_KEY: there is no key in it"),
        ({"openai_api_key_file": "/nowhere"}, "OPENAI_API_KEY_FILE: /nowhere cannot be read"),
        ({"model_limits": "nobody:*=500rpm"}, "no provider is called 'nobody'"),
        ({"compatible_base_url": "openai=http://127.0.0.1:1/v1"}, "another provider's name"),
    ],
)
async def test_what_keeps_a_worker_from_its_models_is_found(
    service_url: str, settings: dict[str, Any], said: str
) -> None:
    found = await examine(database_url=service_url, **settings)
    assert (found["models"].level, said in found["models"].found) == ("fail", True)
    # What it hides is left out.
    assert "default assistant" not in found


async def test_a_retired_model_is_examined_by_its_successor(chat: Chat, service_url: str) -> None:
    await chat.admin.execute(
        "update public.assistants set model = 'anthropic:claude-3-opus-latest'"
    )
    found = await examine(database_url=service_url)
    assert "ANTHROPIC_API_KEY" in found["default assistant"].advice
    assert "OPENAI_API_KEY" not in found["default assistant"].advice

    found = await examine(database_url=service_url, anthropic_api_key="sk-s3cret")
    assert found["default assistant"].ok
    assert "anthropic:claude-opus-5" in found["default assistant"].found


async def test_a_model_of_a_server_without_a_name_is_told_what_to_set(
    chat: Chat, service_url: str
) -> None:
    await chat.admin.execute("update public.assistants set model = 'ollama:llama3.2'")
    found = await examine(database_url=service_url)
    assert "COMPATIBLE_BASE_URL" in found["default assistant"].advice

    server = "ollama=http://localhost:11434/v1"
    found = await examine(database_url=service_url, compatible_base_url=server)
    assert found["default assistant"].ok


@pytest.mark.parametrize(
    ("vault", "level", "said"),
    [
        ("", "ok", ""),
        ("|whsec_s3cret", "fail", "assistants webhook"),
        ("url secret|whsec_s3cret", "ok", ""),
        ("url secret|", "fail", "--off"),
        ("secret|whsec_s3cret", "fail", "assistants webhook"),
        ("secret|", "ok", ""),
    ],
)
async def test_a_webhook_that_is_set_up_on_one_side_only_is_found(
    chat: Chat, service_url: str, vault: str, level: str, said: str
) -> None:
    install_pg_net(chat.database)
    install_vault(chat.database)
    names, _, here = vault.partition("|")
    for name in names.split():
        await chat.admin.execute("select vault.create_secret('s3cret', $1)", f"{WEBHOOK}_{name}")
    found = await examine(database_url=service_url, webhook_secret=here or None)
    assert found["webhook"].level == level
    assert said in found["webhook"].advice
    assert "s3cret" not in found.text()


@pytest.fixture
def plain_owner(database: Database) -> Iterator[None]:
    """The owner of the tables reads only what it was granted; hosted ones read everything."""
    database.execute("revoke pg_read_all_data from postgres")
    yield
    database.execute("grant pg_read_all_data to postgres")


@pytest.mark.usefixtures("plain_owner")
@pytest.mark.parametrize(
    ("hindrance", "lacking"),
    [
        ("revoke usage on schema net from public", "lacks pg_net"),
        ("drop function net.http_post", "lacks pg_net"),
        ("drop schema net cascade", "lacks pg_net"),
        ("revoke usage on schema vault from postgres", "lacks Vault"),
        ("revoke select on vault.decrypted_secrets from postgres", "lacks Vault"),
        ("drop view vault.decrypted_secrets", "lacks Vault"),
        ("drop schema vault cascade", "lacks Vault"),
    ],
)
async def test_pg_net_and_vault_that_are_out_of_reach_are_as_good_as_missing(
    chat: Chat, service_url: str, hindrance: str, lacking: str
) -> None:
    install_pg_net(chat.database)
    install_vault(chat.database)
    await chat.admin.execute(hindrance)
    found = await examine(database_url=service_url, webhook_secret="whsec_x")
    assert lacking in found["webhook"].found


async def test_tools_are_put_together_as_a_worker_does_it(tmp_path: Path) -> None:
    nowhere = {"supabase_url": "http://127.0.0.1:1", "supabase_secret_key": SECRET_KEY}
    file = tmp_path / "tools.toml"
    file.write_text("[servers.x]\ncommand = 'x'", "utf-8")

    wrong = (await examine(**nowhere, tools_file=file))["tools"]
    assert (wrong.level, "servers.x.command" in wrong.found) == ("fail", True)
    wrong = (await examine(**nowhere, tools_modules=("nothing_of_this_name",)))["tools"]
    assert (wrong.level, "nothing_of_this_name" in wrong.found) == ("fail", True)

    # No server is asked, and nobody is told of tools who has said nothing of them.
    file.write_text("[servers.x]\nurl = 'https://nobody.test/mcp'", "utf-8")
    assert (await examine(**nowhere, tools_file=file))["tools"].ok
    assert "tools" not in await examine(**nowhere)
