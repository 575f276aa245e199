"""Settings come from one place, and a wrong one is named without its value."""

import json
from pathlib import Path

import pytest

from backend import settings
from backend.errors import SettingsInvalid

URL = "postgresql://assistants_service:s3cret@db.example.com:5432/postgres"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*settings.Settings.model_fields, *settings.OwnerSettings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path / "default"))


def stack(folder: Path, **values: str) -> Path:
    folder.mkdir()
    (folder / settings.STACK_FILE).write_text(json.dumps(values), "utf-8")
    return folder


def login(found: settings.Settings) -> str:
    assert found.database_url
    return found.database_url.get_secret_value()


def test_a_url_and_a_secret_key_are_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack(tmp_path / "default", database_url="postgresql://local")
    monkeypatch.setenv("SUPABASE_URL", "https://abc.supabase.co")
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_x")
    monkeypatch.setenv("DATABASE_URL", "")
    found = settings.load()
    assert (found.transport, found.database_url) == ("postgrest", None)


@pytest.mark.parametrize("name", ["SUPABASE_URL", "SUPABASE_SECRET_KEY"])
def test_half_of_them_is_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://abc.supabase.co")
    with pytest.raises(SettingsInvalid, match="DATABASE_URL is not set"):
        settings.load()


def test_a_login_is_the_shorter_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("SUPABASE_URL", "https://abc.supabase.co")
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_x")
    assert settings.load().transport == "asyncpg"


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("WORKER_CONCURRENCY", "7")
    found = settings.load()
    assert login(found) == URL
    assert found.worker_concurrency == 7


def test_a_named_stack_beats_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    folder = stack(tmp_path / "mine", database_url="postgresql://local", issuer_url="http://i")
    found = settings.load(folder)
    assert login(found) == "postgresql://local"
    assert found.clerk_issuer == "http://i"


def test_without_anything_said_a_local_stack_is_found(tmp_path: Path) -> None:
    stack(tmp_path / "default", database_url="postgresql://local")
    assert login(settings.load()) == "postgresql://local"


def test_the_owners_login_is_enough_to_migrate_and_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack(tmp_path / "default", database_url="postgresql://local", admin_database_url="local")
    monkeypatch.setenv("ADMIN_DATABASE_URL", URL)
    assert settings.load_owner().admin_database_url.get_secret_value() == URL
    with pytest.raises(SettingsInvalid, match="DATABASE_URL"):
        settings.load()


def test_migrating_with_the_services_login_alone_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack(tmp_path / "default", admin_database_url="local")
    monkeypatch.setenv("DATABASE_URL", URL)
    with pytest.raises(SettingsInvalid, match="ADMIN_DATABASE_URL"):
        settings.load_owner()


def test_with_nothing_to_find_one_sentence_says_so() -> None:
    with pytest.raises(SettingsInvalid, match="DATABASE_URL is not set"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKER_CONCURRENCY", "many"),
        ("WORKER_LEASE_S", "0"),
        ("WORKER_LISTEN", "perhaps"),
        ("LOG_LEVEL", "LOUD"),
        ("API_PORT", "99999"),
    ],
)
def test_a_wrong_value_is_named_and_never_quoted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=name) as raised:
        settings.load()
    assert "s3cret" not in str(raised.value)


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    assert "s3cret" not in repr(settings.load())


@pytest.mark.parametrize(
    ("environment", "is_pooler"),
    [
        ({}, False),
        ({"DATABASE_URL": URL.replace("5432", "6543")}, True),
        ({"WORKER_LISTEN": "off"}, True),
        ({"DATABASE_TRANSACTION_POOLER": "true"}, True),
    ],
)
def test_a_transaction_pooler_is_recognised(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, is_pooler: bool
) -> None:
    for name, value in {"DATABASE_URL": URL, **environment}.items():
        monkeypatch.setenv(name, value)
    assert settings.load().uses_transaction_pooler is is_pooler


def test_origins_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example, http://localhost:3000,")
    assert settings.load().allowed_origins == ("https://a.example", "http://localhost:3000")


@pytest.mark.parametrize(
    "origin", ["a.example", "https://a.example/", "https://a.example/x", "*", "null"]
)
def test_what_no_browser_sends_as_an_origin_is_refused(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("ALLOWED_ORIGINS", origin)
    with pytest.raises(SettingsInvalid, match="ALLOWED_ORIGINS"):
        settings.load()


@pytest.mark.parametrize("url", ["api.openai.com", "ftp://x", "http://", "https:///v1"])
@pytest.mark.parametrize("name", ["OPENAI", "ANTHROPIC", "MISTRAL", "COMPATIBLE"])
def test_a_base_url_without_a_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv(f"{name}_BASE_URL", url)
    with pytest.raises(SettingsInvalid, match=f"{name}_BASE_URL"):
        settings.load()


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("", {}),
        ("http://localhost:11434/v1", {"compatible": "http://localhost:11434/v1"}),
        ("https://gateway.example/v1?a=b", {"compatible": "https://gateway.example/v1?a=b"}),
        (
            "ollama=http://localhost:11434/v1, v_llm-2 = https://gpu.example/v1,",
            {"ollama": "http://localhost:11434/v1", "v_llm-2": "https://gpu.example/v1"},
        ),
    ],
)
def test_own_servers_have_an_address_or_names_and_addresses(
    monkeypatch: pytest.MonkeyPatch, told: str, found: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("COMPATIBLE_BASE_URL", told)
    assert settings.load().compatible_base_url == found


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("a=b", "http:// or https://"),
        ("localhost:11434", "it is no address, which begins with http:// or https://"),
        ("Ollama=http://x/v1", "no capitals"),
        ("http://x/v1,http://y/v1", "it is no list of name=address"),
        ("a=http://x/v1,http://y/v1", "it is no list of name=address"),
        ("a=", "it is no list of name=address"),
        ("mocka=http://x/v1,mocka=http://y/v1", "mocka is named twice"),
        ("mocka=http://x/v1, b=http://y/v1, mocka = http://x/v1", "mocka is named twice"),
        ("compatible=http://x/v1,compatible=http://y/v1", "compatible is named twice"),
    ],
)
def test_what_is_no_list_of_servers_is_refused(
    monkeypatch: pytest.MonkeyPatch, told: str, said: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("COMPATIBLE_BASE_URL", told)
    with pytest.raises(SettingsInvalid, match=f"COMPATIBLE_BASE_URL: .*{said}"):
        settings.load()


def test_aliases_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("MODEL_ALIASES", "gpt-4o=openai:gpt-6-luna, a:b=ollama:qwen3:8b,")
    assert settings.load().model_aliases == {
        "gpt-4o": "openai:gpt-6-luna",
        "a:b": "ollama:qwen3:8b",
    }


@pytest.mark.parametrize("told", ["gpt-4o", "gpt-4o=gpt-5", "=openai:x", "gpt-4o="])
def test_what_is_no_alias_is_refused(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("MODEL_ALIASES", told)
    with pytest.raises(SettingsInvalid, match="MODEL_ALIASES"):
        settings.load()


def test_an_alias_has_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("MODEL_ALIASES", "gpt-4o=openai:a,gpt-4o=openai:b")
    with pytest.raises(SettingsInvalid, match="MODEL_ALIASES: gpt-4o is named twice"):
        settings.load()


@pytest.mark.parametrize("name", ["OPENAI", "ANTHROPIC", "MISTRAL", "COMPATIBLE"])
def test_keys_stand_in_one_place(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv(f"{name}_API_KEY_FILE", "/run/secrets/key")
    assert settings.load()
    monkeypatch.setenv(f"{name}_API_KEY", "sk-s3cret")
    with pytest.raises(SettingsInvalid, match=f"{name}_API_KEY_FILE: {name}_API_KEY") as raised:
        settings.load()
    assert "s3cret" not in repr(raised.value)
    monkeypatch.setenv(f"{name}_API_KEY_FILE", "")
    assert "s3cret" not in repr(settings.load())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:[s3cret]@db.abc.supabase.co:5432/postgres",
        "postgresql://postgres:s3cret@db.abc.supabase.co:port/postgres",
        "postgresql://postgres:s3cret/@db.abc.supabase.co/postgres",
        "https://abc.supabase.co",
        "s3cret",
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "ADMIN_DATABASE_URL"])
def test_what_is_no_url_of_a_database_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, url)
    loading = settings.load if name == "DATABASE_URL" else settings.load_owner
    with pytest.raises(SettingsInvalid, match=f"^{name}: it is no URL") as raised:
        loading()
    assert "s3cret" not in repr(raised.value)
    assert raised.value.__cause__ is None


def test_an_empty_owners_login_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack(tmp_path / "default", admin_database_url=URL)
    monkeypatch.setenv("ADMIN_DATABASE_URL", "")
    assert settings.load_owner().admin_database_url.get_secret_value() == URL
    monkeypatch.setenv("DATABASE_URL", URL)
    with pytest.raises(SettingsInvalid, match="ADMIN_DATABASE_URL is not set"):
        settings.load_owner()
