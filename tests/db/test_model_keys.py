"""What the service reads of models: names that users may give, and keys, where there is a Vault."""

import pytest

from tests.support.chat import Chat

_VAULT = """
create schema vault;
create view vault.decrypted_secrets as
select * from (values
    ('assistants_openai_api_key', 'sk-one'), ('assistants_webhook_secret', 'never'),
    ('stripe_api_key', 'never'), ('openai', 'never')
) as s (name, decrypted_secret);
grant usage on schema vault to postgres;
grant select on vault.decrypted_secrets to postgres;
"""


async def test_the_models_are_those_that_a_row_may_name(chat: Chat) -> None:
    await chat.configure(user_models=["offline:demo", "openai:gpt-5.4"])

    assert await chat.worker.call("list_models") == ["offline:demo", "openai:gpt-5.4"]


async def test_without_vault_there_is_no_key_and_the_answer_says_why(chat: Chat) -> None:
    assert await chat.worker.call("read_model_key", "openai") == {"state": "no_vault"}


@pytest.mark.parametrize(
    ("provider", "state", "key"),
    [
        ("openai", "found", "sk-one"),
        ("mistral", "missing", None),
        ("", "missing", None),
        ("../stripe", "missing", None),
        ("openai_api_key'; --", "missing", None),
    ],
)
async def test_of_all_secrets_only_keys_of_providers_are_read(
    chat: Chat, provider: str, state: str, key: str | None
) -> None:
    await chat.admin.execute(_VAULT)

    assert await chat.worker.call("read_model_key", provider) == {"state": state, "key": key}


async def test_a_vault_that_may_not_be_read_is_told_from_one_that_is_not_there(
    chat: Chat,
) -> None:
    await chat.admin.execute(_VAULT)
    # Somebody who has no right there.
    await chat.admin.execute("alter function engine.read_model_key(text) owner to service_role")

    assert await chat.worker.call("read_model_key", "openai") == {"state": "not_permitted"}
