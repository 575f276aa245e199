"""The page on tools is run: its functions, its API, its server and its client."""

import asyncio
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.app.tool_list import list_tools
from backend.settings import load_tools
from tests.docs.conftest import Checkout, checkout_of
from tests.docs.pages import ROOT, blocks
from tests.support.stack import running_stack
from tests.tools.web_server import WebServer, web_server

PAGE = ROOT / "docs" / "tools.md"
ORDER = {"number": "A-17", "state": "on its way"}


class Shop:
    """The API of the page, beside the test."""

    def __init__(self) -> None:
        self.server: WebServer | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> WebServer:
        self._thread.start()
        assert self._ready.wait(30)
        assert self.server
        return self.server

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._answer())
        self._loop.close()

    async def _answer(self) -> None:
        self._end = asyncio.Event()
        async with web_server() as self.server:
            self.server.will("/v1/orders/A-17", ORDER)
            self._ready.set()
            await self._end.wait()


def file_of(name: str, language: str = "python") -> str:
    """Return the block of the page that is this file."""
    (found,) = (block for block in blocks(PAGE, language) if block.startswith(f"# {name}\n"))
    return found


def write_files(folder: Path, shop: str) -> dict[str, str]:
    """The folder holds what the page prints; return the environment that it asks for, there."""
    for name in ("shop_tools.py", "mountains.py"):
        (folder / name).write_text(file_of(name), "utf-8")
    apis, servers = blocks(PAGE, "toml")
    text = f"{apis}\n{servers}".replace("https://shop.example", shop)
    (folder / "tools.toml").write_text(text, "utf-8")
    (folder / "shop.json").write_text(blocks(PAGE, "json")[1], "utf-8")
    return {
        "TOOLS_FILE": "tools.toml",
        "TOOLS_MODULES": "shop_tools",
        "TOOLS_PRIVATE_HOSTS": shop.removeprefix("http://"),
        "SHOP_TOKEN": "t",
        "PYTHONPATH": ".",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.fixture(scope="module")
def shop() -> Iterator[WebServer]:
    """Yield the API of the page."""
    with Shop() as server:
        yield server


@pytest.fixture(scope="module")
def page(shop: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Yield a checkout whose stack was started with the page's files."""
    folder = tmp_path_factory.mktemp("files")
    environment = write_files(folder, shop.url)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with running_stack(folder=folder) as stack:
            yield checkout_of(tmp_path_factory.mktemp("checkout"), stack)


def test_the_page_prints_what_its_tools_answer(page: Checkout, shop: WebServer) -> None:
    typed = "\n".join(it for it in blocks(PAGE, "python") if not it.startswith("# "))
    # Whoever tries it a second time sees the same.
    for said in [page.run("python", "-", typed=typed).splitlines() for _ in range(2)]:
        assert said == [
            "2",
            "O dragão dorme debaixo da montanha.",
            "{'cents': 600, 'article': 'rope'}",
            "invalid_arguments",
            "{'state': 'on its way', 'number': 'A-17'}",
            "number cannot be empty, a path, or part of one.",
            "{'name': 'Brocken', 'unit': 'm', 'height': 1141}",
            "{'location': 'Lisbon'} 22°C and sunny",
        ]
    assert {asked.headers["authorization"] for asked in shop.asked} == {"Bearer t"}


def test_the_page_prints_the_list_of_tools(
    shop: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in write_files(tmp_path, shop.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shop_tools", raising=False)
    listed = [str(tool) for tool in list_tools(load_tools()) if tool.name != "docs"]
    assert listed == blocks(PAGE, "text")[0].splitlines()


def test_the_page_names_the_codes_that_there_are() -> None:
    source = (ROOT / "backend/tools/invocation.py").read_text("utf-8")
    made = set(re.findall(r'_error\("(\w+)"', source))
    text = PAGE.read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE)) & made == made


def test_the_rows_of_the_page_are_tools_that_a_row_may_name() -> None:
    (row, _document) = (json.loads(it) for it in blocks(PAGE, "json"))
    kinds: list[Any] = [tool["type"] for tool in row]
    assert kinds == ["function", "function", "mcp", "function"]
