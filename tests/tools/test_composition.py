"""All tools put together from the settings, and what `assistants tools` says of them."""

import json
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from backend.app.tools import open_fetcher, open_toolbox
from backend.cli import commands
from backend.domain.assistants import ToolServer
from backend.errors import SettingsInvalid, ToolRefused
from backend.ports.clock import SystemClock
from backend.ports.tools import ServerTool
from backend.tool_settings import ToolSettings
from backend.tools.toolbox import OfferedTools, Unavailable
from tests.support.scripted_gateway import ScriptedGateway
from tests.tools.calling import call
from tests.tools.mcp_peer import ROOT, Peer, tool
from tests.tools.pets import PETS, pets
from tests.tools.test_toolbox import assistant
from tests.tools.web_server import WebServer

MODULE = '''
from backend.tools.registry import tool

@tool(open_to_users=True)
def double(number: int) -> int:
    """Double a number."""
    return 2 * number

@tool()
def roll_dice() -> str:
    """Always the same."""
    return "four"

same = double
'''
BUILT_IN = {"roll_dice", "search_database", "get_weather", "map_set_marker", "map_set_area"}


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[OfferedTools]:
    async with open_toolbox(ToolSettings(**settings), ScriptedGateway(), SystemClock()) as made:
        yield made


def file_of(folder: Path, **parts: Any) -> Path:
    file = folder / "tools.json"
    file.write_text(json.dumps(parts), "utf-8")
    return file


def write_module(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = MODULE, name: str = "own_tools"
) -> str:
    (folder / f"{name}.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


async def tools(box: OfferedTools, *names: str, **more: Any) -> Mapping[str, ServerTool]:
    return await box.tools_of(assistant(*names, **more))


async def test_the_built_in_tools_are_there_without_a_setting_and_for_everybody() -> None:
    async with opened() as box:
        assert set(await tools(box, *BUILT_IN, is_users=True)) == BUILT_IN


async def test_functions_of_the_operators_modules_are_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_module(tmp_path, monkeypatch)
    async with opened(tools_modules=(name,)) as box:
        found = await tools(box, "double", "roll_dice")
        assert (await call(found["double"], number=4)).output == 8
        assert (await call(found["roll_dice"])).output == "four"
        assert set(await tools(box, "double", "roll_dice", is_users=True)) == {"double"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("x = 1", "has no function with @tool"),
        (
            "from backend.tools.registry import tool\n@tool()\ndef f(x): ...",
            "f cannot be a tool: parameter x has no type",
        ),
        (
            "from backend.tools.registry import tool\n@tool(timeout_s=0, attempts=0)\ndef f(): ...",
            "f cannot be a tool: timeout_s must be more than 0, attempts must be 1 or more",
        ),
        (
            "from backend.tools.registry import tool\n@tool('f')\ndef f(): ...",
            "@tool takes its words by their names",
        ),
    ],
)
async def test_a_module_that_is_wrong_is_named_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    name = write_module(tmp_path, monkeypatch, text, "wrong_tools")
    with pytest.raises(SettingsInvalid, match=f"TOOLS_MODULES: {name}:? {said}"):
        async with opened(tools_modules=(name,)):
            pass


async def test_a_module_that_is_not_there_is_told_apart_from_one_that_is_broken() -> None:
    with pytest.raises(
        SettingsInvalid, match=r"there is no module none_such\.tools: .* PYTHONPATH"
    ):
        async with opened(tools_modules=("none_such.tools",)):
            pass


@pytest.mark.parametrize("name", ["own_tools.py", "gone.py", "./own_tools", "a/b", "a..b", ".a"])
async def test_what_is_no_name_of_a_module_is_told_apart_from_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_module(tmp_path, monkeypatch)
    said = f"TOOLS_MODULES: {re.escape(name)} is no name of a module: .* such as my.tools"
    with pytest.raises(SettingsInvalid, match=said):
        async with opened(tools_modules=(name,)):
            pass


_TWICE = "from backend.tools.registry import tool\n"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            ["@tool()\ndef roll(): ...", "@tool(name='roll')\ndef throw(): ..."],
            "own_0.roll and own_1.throw are both called roll: rename",
        ),
        (
            ["@tool\ndef roll(): ...\n@tool(name='roll')\ndef throw(): ..."],
            "own_0.roll and own_0.throw are both called roll: rename",
        ),
    ],
)
async def test_two_of_the_operators_functions_with_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], said: str
) -> None:
    names = tuple(
        write_module(tmp_path, monkeypatch, _TWICE + text, f"own_{number}")
        for number, text in enumerate(texts)
    )
    with pytest.raises(SettingsInvalid, match=f"TOOLS_MODULES: {said}"):
        async with opened(tools_modules=names):
            pass


async def test_one_function_in_two_modules_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_module(tmp_path, monkeypatch)
    other = write_module(tmp_path, monkeypatch, f"from {name} import double, same", "more_tools")
    async with opened(tools_modules=(name, other, name)) as box:
        assert set(await tools(box, "double")) == {"double"}


async def test_an_api_and_a_server_of_the_file_are_asked_with_its_headers(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETS_TOKEN", "t")
    (tmp_path / "pets.json").write_text(json.dumps(pets(servers=[{"url": server.url}])), "utf-8")
    headers = {"authorization": "Bearer ${PETS_TOKEN}"}
    apis = {"pets": {"document": "pets.json", "headers": headers, "query": {"api_key": "q"}}}
    servers = {"peer": {"url": f"{server.url}/mcp", "headers": headers}}
    peer = Peer(server, tool("it"), tool("other"))
    server.will("/pets/1", {"name": "Rex"})
    file = file_of(tmp_path, apis=apis, servers=servers)
    entry = f"127.0.0.1:{server.port}"
    async with opened(tools_file=file, tools_private_hosts=(entry,)) as box:
        found = await tools(box, "pets_getPet", servers=[ToolServer("peer", ("it",))])
        assert set(found) == {"pets_getPet", "peer_it"}
        outcome = await call(found["pets_getPet"], petId="1", **{"X-Key": "k"})  # type: ignore[arg-type]
        assert outcome.output == {"name": "Rex"}
        assert (await call(found["peer_it"])).output == "done"
    (asked,) = (it for it in server.asked if it.path == "/pets/1")
    assert asked.target == "/pets/1?api_key=q"
    assert asked.headers["authorization"] == "Bearer t"
    assert {it["authorization"] for it in peer.headers} == {"Bearer t"}


async def test_a_private_host_is_asked_only_where_a_setting_names_it(
    server: WebServer, tmp_path: Path
) -> None:
    document = json.dumps(pets(servers=[{"url": server.url}]))
    (tmp_path / "pets.json").write_text(document, "utf-8")
    file = file_of(tmp_path, apis={"pets": {"document": "pets.json"}})
    for hosts in ((), ("127.0.0.1:1",), ("localhost",)):
        async with opened(tools_file=file, tools_private_hosts=hosts) as box:
            found = await tools(box, "pets_getPet")
            outcome = await call(found["pets_getPet"], petId="1", **{"X-Key": "k"})  # type: ignore[arg-type]
            assert outcome.is_error
    assert server.connections == 0


async def test_the_weather_is_asked_where_the_settings_say(server: WebServer) -> None:
    settings = {"weather_url": server.url, "weather_places_url": server.url}
    server.will("/v1/search", {})
    async with opened(**settings, tools_private_hosts=("127.0.0.1",)) as box:
        outcome: Any = await call((await tools(box, "get_weather"))["get_weather"], location="Nix")
    assert outcome.output["message"] == "There is no place of this name."


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"apis": {"pets": {"document": "none.json"}}},
            "pets: .*/none.json cannot be read: No such",
        ),
        ({"apis": {"pets": {"document": "tools.json"}}}, "the document of pets: it does not say"),
        (
            {"servers": {"x": {"url": "https://x.test", "headers": {"a": "${NOT_THERE}"}}}},
            "servers.x.headers.a: NOT_THERE is not set",
        ),
        ({"servers": {"x": {"url": "https://127.1/mcp"}}}, "An address of a tool"),
    ],
)
async def test_what_is_wrong_in_the_file_is_named_at_the_start(
    tmp_path: Path, parts: Any, said: str
) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        async with opened(tools_file=file_of(tmp_path, **parts)):
            pass


@pytest.mark.parametrize("parts", ["apis", "servers"])
async def test_what_is_optional_is_left_out_where_a_secret_is_missing(
    tmp_path: Path, parts: str
) -> None:
    (tmp_path / "pets.json").write_text(json.dumps(PETS), "utf-8")
    one = {"document": "pets.json"} if parts == "apis" else {"url": "https://x.test"}
    entry = {**one, "headers": {"a": "${file:/nonexistent/key}"}}
    with pytest.raises(SettingsInvalid, match="/nonexistent/key cannot be read"):
        async with opened(tools_file=file_of(tmp_path, **{parts: {"x": entry}})):
            pass
    file = file_of(tmp_path, **{parts: {"x": {**entry, "optional": True}}})
    with structlog.testing.capture_logs() as lines:
        async with opened(tools_file=file) as box:
            assert await tools(box, "x_getPet", servers=[ToolServer("x")]) == {}
            found = (await box.everything())["x"]
    assert isinstance(found, Unavailable)
    assert found.why == f"TOOLS_FILE: {parts}.x.headers.a: /nonexistent/key cannot be read."
    assert ("tool.left_out", "x", found.why) in [
        (line["event"], line["server"], line.get("why")) for line in lines
    ]


async def test_paths_of_the_file_begin_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "pets.json").write_text(json.dumps(PETS), "utf-8")
    shutil.copy(ROOT / "tests/tools/mcp_program.py", tmp_path / "own" / "mountains.py")
    file_of(
        tmp_path / "own",
        apis={"pets": {"document": "pets.json"}},
        servers={"it": {"command": [sys.executable, "mountains.py"]}},
    )
    monkeypatch.chdir(tmp_path)
    async with opened(tools_file=Path("own/tools.json")) as box:
        found = await tools(box, "pets_getPet", servers=[ToolServer("it", ("measure",))])
    assert set(found) == {"pets_getPet", "it_measure"}


async def test_a_name_that_an_api_or_a_server_does_not_have_is_told(tmp_path: Path) -> None:
    (tmp_path / "pets.json").write_text(json.dumps(PETS), "utf-8")
    program = {"command": [sys.executable, "-m", "tests.tools.mcp_program"], "folder": str(ROOT)}
    file = file_of(
        tmp_path,
        apis={"pets": {"document": "pets.json", "operations": ["getPet", "getPett"]}},
        servers={"mountains": {**program, "tools": ["measure", "mesure"]}},
    )
    with structlog.testing.capture_logs() as lines:
        async with opened(tools_file=file) as box:
            for _ in range(3):
                await tools(box, "pets_getPet", servers=[ToolServer("mountains")])
            found = await box.everything()
    wrong = {name for name, it in found.items() if isinstance(it, Unavailable)}
    assert {"pets_getPett", "mountains_mesure"} <= wrong
    assert {"pets_getPet", "mountains_measure"} <= found.keys() - wrong
    told = [(line["server"], line["missing"]) for line in lines if "missing" in line]
    assert told == [("pets", ["getPett"]), ("mountains", ["mesure"])]


@pytest.mark.parametrize("parts", ["apis", "servers"])
async def test_a_private_host_is_named_with_the_setting_that_allows_it(
    server: WebServer, tmp_path: Path, parts: str
) -> None:
    document = json.dumps(pets(servers=[{"url": server.url}]))
    (tmp_path / "pets.json").write_text(document, "utf-8")
    Peer(server, tool("it"))
    one = {"document": "pets.json"} if parts == "apis" else {"url": f"{server.url}/mcp"}
    file = file_of(tmp_path, **{parts: {"x": one}})
    with structlog.testing.capture_logs() as lines:
        async with opened(tools_file=file) as box:
            found = (await box.everything())["x"]
            if parts == "apis":
                await call((await tools(box, "x_getPet"))["x_getPet"], petId="1", **{"X-Key": "k"})  # type: ignore[arg-type]
    assert isinstance(found, Unavailable)
    assert found.why.startswith(f"127.0.0.1:{server.port}: ")
    assert "TOOLS_PRIVATE_HOSTS" in found.why
    refused = [line for line in lines if line["event"] == "host.refused"]
    assert {(line["host"], line["port"]) for line in refused} == {("127.0.0.1", server.port)}
    assert all("TOOLS_PRIVATE_HOSTS" in line["why"] for line in refused)
    async with opened(tools_file=file, tools_private_hosts=(server.url[7:],)) as box:
        assert "x" not in await box.everything()


async def test_a_private_host_that_is_none_is_named() -> None:
    with pytest.raises(SettingsInvalid, match="TOOLS_PRIVATE_HOSTS"):
        async with opened(tools_private_hosts=("http://x",)):
            pass


async def test_files_of_users_are_fetched_from_the_internet_alone(server: WebServer) -> None:
    async with open_fetcher() as fetcher:
        with pytest.raises(ToolRefused):
            await fetcher.get(server.url, max_bytes=10, timeout_s=5)
    assert server.connections == 0


def test_the_list_says_what_rows_may_name_and_what_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pets.json").write_text(json.dumps(PETS), "utf-8")
    program = {"command": [sys.executable, "-m", "tests.tools.mcp_program"], "folder": str(ROOT)}
    servers = {"mountains": {**program, "open_to_users": True}, "away": {"command": ["/none"]}}
    file = file_of(tmp_path, apis={"pets": {"document": "pets.json"}}, servers=servers)
    monkeypatch.setenv("TOOLS_FILE", str(file))
    monkeypatch.setenv("TOOLS_MODULES", write_module(tmp_path, monkeypatch))

    listed = CliRunner().invoke(commands, ["tools"])
    lines = {line.split()[1]: line for line in listed.output.splitlines() if line[5:6] == " "}

    assert lines["pets_pets_add"] == "yours pets_pets_add                Add a pet."
    assert lines["mountains_measure"].startswith("users mountains_measure")
    assert lines["double"].startswith("users double")
    assert lines["away"].startswith("FAIL  away")
    assert listed.exit_code == 1
    told = CliRunner().invoke(commands, ["tools", "--json"])
    assert "error" in {it["name"]: it for it in json.loads(told.stdout)}["away"]

    monkeypatch.setenv("TOOLS_FILE", "")
    told = CliRunner().invoke(commands, ["tools", "--json"])
    made = {tool["name"]: tool for tool in json.loads(told.output)}
    assert made["double"]["parameters"]["required"] == ["number"]
    assert made.keys() >= BUILT_IN
    assert told.exit_code == 0
