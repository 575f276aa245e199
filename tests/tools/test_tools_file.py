"""The operator's file: what it may say, and that no mistake in it shows a secret."""

import json
from pathlib import Path

import pytest

from backend.errors import SettingsInvalid
from backend.settings import load_tools
from backend.tools_file import filled, read_tools_file

GOOD = """
[apis.pets]
document = "pets.json"
headers = { authorization = "Bearer ${PETS_TOKEN}" }
operations = ["getPet"]

[servers.docs]
url = "https://docs.test/mcp"
open_to_users = true

[servers.local]
command = ["docs-server", "--quiet"]
environment = { KEY = "${file:/run/secrets/key}" }
"""


def write(folder: Path, text: str, name: str = "tools.toml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def test_apis_and_servers_are_read_from_toml_and_from_json(tmp_path: Path) -> None:
    found = read_tools_file(write(tmp_path, GOOD))
    assert found.apis["pets"].operations == ("getPet",)
    assert found.servers["docs"].open_to_users
    assert found.servers["local"].command == ("docs-server", "--quiet")
    assert not found.apis["pets"].open_to_users
    same = write(tmp_path, found.model_dump_json(exclude_unset=True), "tools.json")
    assert read_tools_file(same) == found


def test_without_a_file_there_is_nothing() -> None:
    found = read_tools_file(None)
    assert (found.apis, found.servers) == ({}, {})


SECRET = "sk-very-secret"
WRONG = {
    "no TOML": f"[apis.pets\nheaders = '{SECRET}'",
    "an unknown key": f"[apis.pets]\ndocument = 'x'\nheader = {{ a = '{SECRET}' }}",
    "an unknown section": f"[api]\nkey = '{SECRET}'",
    "a name that no row can say": "[servers.'Docs!']\nurl = 'https://docs.test'",
    "an address with a user": f"[servers.docs]\nurl = 'https://ada:{SECRET}@docs.test'",
    "no address": "[servers.docs]\nurl = 'docs.test'",
    "neither": f"[servers.docs]\nheaders = {{ a = '{SECRET}' }}",
    "both": "[servers.docs]\nurl = 'https://docs.test'\ncommand = ['x']",
    "headers of a program": f"[servers.docs]\ncommand = ['x']\nheaders = {{ a = '{SECRET}' }}",
    "a wrong kind": f"[servers.docs]\nurl = 'https://docs.test'\ntimeout_s = '{SECRET}'",
    "a header that is none": f"[apis.pets]\ndocument = 'x'\nheaders = {{ 'a b' = '{SECRET}' }}",
    "no document": "[apis.pets]\nbase_url = 'https://pets.test'",
    "a base with a query": "[apis.pets]\ndocument = 'x'\nbase_url = 'https://pets.test?a=b'",
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_is_named_without_what_stands_there(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SettingsInvalid, match="TOOLS_FILE") as raised:
        read_tools_file(write(tmp_path, WRONG[kind]))
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"TOOLS_FILE: {tmp_path}/none.toml cannot be read: No such file or directory"
    with pytest.raises(SettingsInvalid, match=said):
        read_tools_file(tmp_path / "none.toml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsInvalid, match=said):
        read_tools_file(Path("none.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[servers.x]\ncommand = 'python m.py'", r"servers.x.command: it must be a list of str"),
        ("[servers.x]\nbase = 1\nurl = 'http://a'", r"x.base: unknown key; known are attempts, c"),
        ("[apis.x]\ntool = 1\ndocument = 'a'", r"x.tool: unknown key; known are .*, operations"),
        ("[api.x]\nurl = 'http://a'", r"TOOLS_FILE: api: unknown key; known are apis, servers$"),
        ("[servers.X]\nurl = 'http://a'", r"X.*: a name has 1 to 32 of a-z, 0-9, - and _"),
        ("[servers.x]\nurl = 'a'", r"servers.x.url: it must be an address: http:// or https://"),
        ("[servers.x]", r"servers.x: a server has either url or command"),
        ("[servers.x]\nurl = 'http://a'\ntimeout_s = -1", r"x.timeout_s: .* greater than 0"),
        (
            "[apis.roll]\ndocument = 'a'\n[servers.roll]\nurl = 'http://a'",
            r"TOOLS_FILE: the file: roll: one name is an api's and a server's; rename one$",
        ),
    ],
)
def test_a_mistake_is_told_in_the_words_of_the_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        read_tools_file(write(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tools.toml", f"[apis.x]\nkey = '{SECRET}", "TOML: see the end of the document."),
        ("tools.toml", f"a = 1\nkey = {SECRET}\n", "TOML: see line 2, column 7."),
        ("tools.toml", f"['{SECRET}']\n['{SECRET}']\n", "TOML: see line 2, column 18."),
        ("tools.json", f'{{"apis": {{}},\n "{SECRET}" 1}}', "JSON: see line 2, column 19."),
        ("tools.json", "", "JSON: see line 1, column 1."),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_quotes_nothing(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        read_tools_file(write(tmp_path, text, name))
    assert str(raised.value) == f"TOOLS_FILE: {tmp_path / name} is no {said}"


def test_a_file_with_a_secret_lies_beside_the_tools_file(tmp_path: Path) -> None:
    write(tmp_path, "s", "key")
    assert filled({"a": "${file:key}"}, "h", tmp_path)() == {"a": "s"}
    with pytest.raises(SettingsInvalid, match=f"h.a: {tmp_path}/none cannot be read"):
        filled({"a": "${file:none}"}, "h", tmp_path)


def test_secrets_come_from_the_environment_and_from_files_that_may_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETS_TOKEN", "t")
    key = write(tmp_path, "old\n", "key")
    read = filled({"a": "Bearer ${PETS_TOKEN}", "b": f"${{file:{key}}}-x", "c": "$plain"}, "h")
    assert read() == {"a": "Bearer t", "b": "old-x", "c": "$plain"}
    key.write_text("new", "utf-8")
    assert read()["b"] == "new-x"
    key.unlink()
    assert read()["b"] == "new-x"


@pytest.mark.parametrize("value", ["${PETS_TOKEN}", "${file:/nonexistent/key}", "${}"])
def test_a_secret_that_is_not_there_is_named_at_the_start(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PETS_TOKEN", raising=False)
    with pytest.raises(SettingsInvalid, match=r"TOOLS_FILE: apis\.pets\.headers\.a: "):
        filled({"a": value}, "apis.pets.headers")


def test_the_settings_of_tools_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOOLS_FILE", "")
    monkeypatch.setenv("TOOLS_MODULES", "shop.tools, more")
    monkeypatch.setenv("TOOLS_PRIVATE_HOSTS", "10.0.0.5:8080,docs.internal")
    monkeypatch.setenv("WEATHER_URL", "http://weather.internal/")
    found = load_tools()
    assert found.tools_file is None
    assert found.tools_modules == ("shop.tools", "more")
    assert found.tools_private_hosts == ("10.0.0.5:8080", "docs.internal")
    assert found.weather_url == "http://weather.internal"
    monkeypatch.setenv("WEATHER_URL", "weather.internal")
    with pytest.raises(SettingsInvalid, match="WEATHER_URL"):
        load_tools()


def test_what_is_no_utf8_or_nested_without_end_is_no_file(tmp_path: Path) -> None:
    file = tmp_path / "tools.json"
    for content in (b"\xff\xfe", b"[" * 100_000, json.dumps([1]).encode()):
        file.write_bytes(content)
        with pytest.raises(SettingsInvalid, match="TOOLS_FILE"):
            read_tools_file(file)
