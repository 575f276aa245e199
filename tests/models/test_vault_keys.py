"""Keys from Supabase Vault are read now and then, and those of before hold where it is silent."""

from collections.abc import Mapping
from typing import Any

import pytest
import structlog

from backend.app.accounts import accounts, open_provider
from backend.errors import DatabaseUnavailable, ModelRefused, SettingsInvalid
from backend.integrations.models.vault_keys import VaultKeys
from backend.integrations.supabase.vault_checks import check_model_keys
from backend.ports.clock import SystemClock
from backend.settings import load
from tests.support.manual_clock import ManualClock
from tests.support.scripted_gateway import ScriptedGateway, fails


class Vault:
    """Says what a test wants it to."""

    def __init__(self, key: str | None, state: str = "found") -> None:
        self.answer: Any = {"state": state, "key": key}

    async def __call__(self, arguments: Mapping[str, Any]) -> Any:
        assert arguments == {"p_provider": "openai"}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def scene(vault: Vault) -> tuple[VaultKeys, ScriptedGateway, ManualClock]:
    gateway, clock = ScriptedGateway(read_model_key=vault), ManualClock()
    return VaultKeys(gateway, "openai", clock), gateway, clock


async def test_a_key_that_is_replaced_is_used_half_a_minute_later() -> None:
    vault = Vault("sk-one, sk-two")
    keys, gateway, clock = scene(vault)
    for _ in range(3):
        assert await keys.current() == ("sk-one", "sk-two")
    assert len(gateway.calls) == 1

    vault.answer = {"state": "found", "key": "sk-three"}
    await clock.advance(31)

    assert await keys.current() == ("sk-three",)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (DatabaseUnavailable("away"), "database_unavailable"),
        ({"state": "missing", "key": None}, "no_secret"),
        ({"state": "found", "key": " "}, "no_key_in_it"),
        ({"state": "no_vault", "key": None}, "no_vault"),
        ({"state": "not_permitted"}, "not_permitted"),
    ],
    ids=str,
)
async def test_what_cannot_be_read_leaves_the_keys_of_before_or_refuses_and_quotes_nothing(
    answer: Any, why: str
) -> None:
    vault = Vault("sk-one")
    keys, _, clock = scene(vault)
    await keys.current()
    vault.answer = answer
    await clock.advance(31)
    with structlog.testing.capture_logs() as lines:
        assert await keys.current() == ("sk-one",)
    assert [(line["event"], line["why"]) for line in lines] == [("keys.unreadable", why)]
    assert "sk-" not in str(lines)

    fresh, _, _ = scene(vault)
    expected = DatabaseUnavailable if isinstance(answer, Exception) else ModelRefused
    with pytest.raises(expected):
        await fresh.current()


async def test_a_key_that_no_header_can_carry_is_refused_unseen() -> None:
    keys, _, _ = scene(Vault("sk-é"))

    with pytest.raises(ModelRefused, match="assistants_openai_api_key") as raised:
        await keys.current()

    assert "sk-" not in str(raised.value)


async def test_who_could_not_ask_asks_again() -> None:
    gateway = ScriptedGateway(
        read_model_key=fails(DatabaseUnavailable("away"), then={"state": "found", "key": "sk-one"})
    )
    keys = VaultKeys(gateway, "openai", ManualClock())
    with pytest.raises(DatabaseUnavailable):
        await keys.current()

    assert await keys.current() == ("sk-one",)


def test_an_account_with_its_keys_in_vault_needs_a_way_there(monkeypatch: Any) -> None:
    monkeypatch.setenv("MODEL_KEYS_IN_VAULT", "openai, mistral")
    monkeypatch.setenv("MISTRAL_API_KEY", "sk-here")
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:b@127.0.0.1/c")
    found = accounts(load())

    assert {prefix: it.is_in_vault for prefix, it in found.items()} == {
        "mistral": False,
        "openai": True,
    }
    with pytest.raises(SettingsInvalid, match="MODEL_KEYS_IN_VAULT"):
        open_provider("openai", found["openai"], SystemClock())


def test_a_provider_that_has_no_keys_is_named(monkeypatch: Any) -> None:
    monkeypatch.setenv("MODEL_KEYS_IN_VAULT", "openai,ollama")
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:b@127.0.0.1/c")

    with pytest.raises(SettingsInvalid, match=r"MODEL_KEYS_IN_VAULT.*ollama"):
        load()


@pytest.mark.parametrize(
    ("answer", "level", "said"),
    [
        ({"state": "found", "key": "sk-one"}, "ok", "Vault has assistants_openai_api_key"),
        ({"state": "missing", "key": None}, "fail", "no secret named assistants_openai_api_key"),
        ({"state": "no_vault"}, "fail", "the project has no Vault"),
        ({"state": "not_permitted"}, "fail", "may not read Vault"),
        (DatabaseUnavailable("away"), "fail", "Vault cannot be asked: database_unavailable"),
    ],
    ids=str,
)
async def test_the_doctor_says_whether_a_key_is_there_and_never_which(
    answer: Any, level: str, said: str
) -> None:
    vault = Vault(None)
    vault.answer = answer

    (check,) = await check_model_keys(ScriptedGateway(read_model_key=vault), ["openai"])

    assert check.level == level
    assert said in check.found
    assert "sk-one" not in check.found + check.advice
    assert check.ok or check.advice
