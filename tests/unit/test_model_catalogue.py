"""A model id leads to its provider, or to an error that says what to do."""

import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from backend.app.accounts import HOSTED, accounts
from backend.app.catalogue import PrefixCatalogue
from backend.app.models import catalogue, open_models
from backend.devkit.offline_model import OfflineModel
from backend.domain.successors import successors
from backend.errors import ModelNotFound, SettingsInvalid
from backend.ports.clock import SystemClock
from backend.ports.models import ModelCatalogue
from backend.settings import Settings
from tests.support.processes import ROOT
from tests.support.scripted_gateway import ScriptedGateway

_OFFLINE = OfflineModel(SystemClock())


def made(**values: Any) -> ModelCatalogue:
    return catalogue(Settings(**values), SystemClock())


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_each_provider_is_a_class_and_its_settings() -> None:
    for prefix, vendor in HOSTED.items():
        assert inspect.isclass(pkgutil.resolve_name(vendor))
        for setting in ("api_key", "api_key_file", "base_url"):
            assert f"{prefix}_{setting}" in Settings.model_fields


def test_what_follows_the_first_colon_is_the_providers_own_name() -> None:
    found = PrefixCatalogue({"ollama": _OFFLINE}).find("ollama:qwen3:8b")
    assert (found.id, found.name, found.prefix) == ("ollama:qwen3:8b", "qwen3:8b", "ollama")


def test_a_retired_model_leads_to_its_successor_and_is_told_once() -> None:
    models = PrefixCatalogue({"openai": _OFFLINE}, successors({}))
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            assert models.find("openai:gpt-4-turbo-preview").id == "openai:gpt-5.6-sol"
    told = {"event": "model.replaced", "model": "openai:gpt-4-turbo-preview"}
    assert [{key: line[key] for key in told} for line in lines] == [told]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("opnai:gpt-6-luna", "No provider is called 'opnai'. Near: openai."),
        ("antropic:claude-opus-5", "No provider is called 'antropic'. Near: anthropic."),
        (
            "zzz:model",
            "No provider is called 'zzz'. There are: anthropic, compatible, mistral, offline, openai.",
        ),
        ("anthropic:claude-opus-5", "No provider serves 'anthropic' here: set ANTHROPIC_API_KEY."),
        ("compatible:llama3.2", "No provider serves 'compatible' here: set COMPATIBLE_BASE_URL."),
        ("openai:", "'openai:' names its provider alone."),
        (
            "gpt-6-lunar",
            "'gpt-6-lunar' is no model id, which is provider:name. Near: openai:gpt-6-luna",
        ),
        ("", "'' is no model id, which is provider:name."),
    ],
)
def test_a_model_that_nobody_serves_is_told_with_what_is_near(model: str, said: str) -> None:
    models = PrefixCatalogue({"openai": _OFFLINE, "offline": _OFFLINE}, successors({}))
    with structlog.testing.capture_logs() as lines, pytest.raises(ModelNotFound) as raised:
        models.find(model)
    assert str(raised.value).startswith(said)
    assert [line["event"] for line in lines] == ["model.not_served"]


def test_without_keys_only_the_offline_model_is_served() -> None:
    models = made()
    assert isinstance(models.find("offline:demo").provider, OfflineModel)
    for prefix in (*HOSTED, "compatible"):
        with pytest.raises(ModelNotFound):
            models.find(f"{prefix}:m")


def test_the_offline_model_answers_to_its_own_name_only() -> None:
    with pytest.raises(ModelNotFound, match=r"no model 'dmeo'. There are: offline:demo\."):
        made().find("offline:dmeo")


@pytest.mark.parametrize(
    ("values", "served"),
    [
        ({"mistral_api_key": "a,b"}, ["mistral"]),
        ({"compatible_base_url": "http://localhost:11434/v1"}, ["compatible"]),
        (
            {
                "compatible_base_url": "ollama=http://localhost:11434/v1, vllm=https://gpu/v1",
                "compatible_api_key": "vllm=k",
            },
            ["ollama", "vllm"],
        ),
    ],
)
def test_who_has_an_account_is_served(values: dict[str, Any], served: list[str]) -> None:
    models = made(**values)
    assert all(models.find(f"{prefix}:m:1").name == "m:1" for prefix in served)
    assert sorted(accounts(Settings(**values))) == served


def test_keys_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    with pytest.raises(SettingsInvalid, match="OPENAI_API_KEY_FILE"):
        made(openai_api_key_file=secret)
    secret.write_text("sk-a\nsk-b\n", "utf-8")
    made(openai_api_key_file=secret).find("openai:gpt-6-luna")


def test_an_own_server_takes_no_name_of_a_provider() -> None:
    with pytest.raises(SettingsInvalid, match="COMPATIBLE_BASE_URL: openai is another"):
        made(compatible_base_url="openai=http://localhost/v1")


@pytest.mark.parametrize("limits", ["opnai:*=60rpm", "openai:*=9rpm,olama:*=60rpm"])
async def test_a_limit_of_no_provider_is_refused_at_the_start(limits: str) -> None:
    settings = Settings(model_limits=limits, compatible_base_url="ollama=http://localhost/v1")
    known = "anthropic, compatible, mistral, offline, ollama, openai"
    with pytest.raises(SettingsInvalid, match=f"MODEL_LIMITS: .*; known are {known}"):
        async with open_models(settings, SystemClock(), ScriptedGateway()):
            pass


async def test_a_limit_of_a_provider_without_a_key_is_none_of_nobody() -> None:
    settings = Settings(
        model_limits="mistral:*=9rpm,ollama:*=9rpm",
        compatible_base_url="ollama=http://localhost/v1",
    )
    async with open_models(settings, SystemClock(), ScriptedGateway()):
        pass


@pytest.mark.parametrize(
    ("aliases", "said"),
    [
        (
            "gpt-4o=opnai:gpt-5",
            "gpt-4o=opnai:gpt-5: no provider is called 'opnai'; known are anthropic, compatible, ",
        ),
        ("a:b=openai:d,openai:d=olama:b", "openai:d=olama:b: no provider is called 'olama'; "),
        ("ollama:b=openai:d,openai:d=ollama:b", "ollama:b=openai:d=ollama:b is a circle: name"),
        ("gpt-4o=ollama:b,ollama:b=openai:gpt-4o", "ollama:b=openai:gpt-4o=ollama:b is a circle"),
        (
            "x=ollama:a,ollama:a=ollama:b,ollama:b=ollama:c,ollama:c=ollama:a",
            "ollama:a=ollama:b=ollama:c=ollama:a is a circle",
        ),
    ],
)
async def test_an_alias_that_leads_nowhere_is_refused_at_the_start(aliases: str, said: str) -> None:
    settings = Settings(model_aliases=aliases, compatible_base_url="ollama=http://localhost/v1")
    with pytest.raises(SettingsInvalid) as raised:
        async with open_models(settings, SystemClock(), ScriptedGateway()):
            pass
    assert str(raised.value).startswith(f"MODEL_ALIASES: {said}")


async def test_an_alias_may_lead_on_stay_or_lead_to_a_provider_without_a_key() -> None:
    aliases = "gpt-4=ollama:a,ollama:a=mistral:b,gpt-4o=openai:gpt-4o,openai:c=openai:c"
    settings = Settings(model_aliases=aliases, compatible_base_url="ollama=http://localhost/v1")
    async with open_models(settings, SystemClock(), ScriptedGateway()):
        pass


@pytest.mark.parametrize(
    ("named", "told"),
    [("mistral,openai,anthropic", [["openai", "anthropic"]]), ("mistral", []), ("", [])],
)
async def test_the_log_names_once_who_is_to_be_asked_in_batches_and_has_no_account(
    named: str, told: list[list[str]]
) -> None:
    settings = Settings(model_batches=named, mistral_api_key=SecretStr("k"))
    with structlog.testing.capture_logs() as lines:
        async with open_models(settings, SystemClock(), ScriptedGateway()):
            pass
    said = [it for it in lines if it["event"] == "batches.unserved"]
    assert [(it["log_level"], it["providers"]) for it in said] == [("warning", it) for it in told]


@pytest.mark.parametrize("keys", ["sk-x", "vlm=sk-x", "vllm=sk-x,sk-y", "sk-x=="])
def test_a_key_of_no_server_is_refused_without_being_shown(keys: str) -> None:
    said = "COMPATIBLE_API_KEY: .* known from COMPATIBLE_BASE_URL: vllm"
    with pytest.raises(SettingsInvalid, match=said) as raised:
        made(compatible_base_url="vllm=http://localhost/v1", compatible_api_key=keys)
    assert "sk-" not in str(raised.value)


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsInvalid, match="ANTHROPIC_API_KEY") as raised:
        made(anthropic_api_key=SecretStr("sk-ant-é"))
    assert "sk-ant" not in str(raised.value)


_LOADED = """
import sys
from backend.app.models import catalogue
from backend.ports.clock import SystemClock
from backend.settings import Settings
catalogue(Settings(), SystemClock())
print(*sorted({"pydantic_ai", "openai", "anthropic", "mistralai"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("variable", "loaded"),
    [
        ("NONE", ""),
        ("ANTHROPIC_API_KEY", "anthropic pydantic_ai"),
        ("OPENAI_API_KEY", "openai pydantic_ai"),
    ],
)
def test_who_has_no_key_does_not_pay_for_the_import(variable: str, loaded: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _LOADED],
        cwd=ROOT,
        env={"PATH": "", variable: "sk-x"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == loaded
