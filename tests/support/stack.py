"""A whole local stack, brought up by the command that a user types."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from supabase import Client, ClientOptions, create_client

from backend.devkit.folder import StackFolder
from backend.devkit.tokens import load_key
from backend.local_stack import Subject, token

ROOT = Path(__file__).parents[2]


class Stack:
    """What `assistants up --json` printed, and clients of it."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self._connections: list[httpx.Client] = []

    def close(self) -> None:
        """The connections of its clients are closed."""
        for connection in self._connections:
            connection.close()

    def _options(self, headers: dict[str, str]) -> ClientOptions:
        # Given one, supabase-py does not warn about its own default.
        self._connections.append(httpx.Client(timeout=30))
        return ClientOptions(headers=headers, httpx_client=self._connections[-1])

    @property
    def data(self) -> Path:
        return Path(self.facts["data"])

    def token(self, user: str) -> str:
        """Return a signed-in user's token, good for a minute; as `assistants token` prints it."""
        return token(self.data, self.facts["issuer_url"], Subject(user))

    def signing_key(self) -> RSAPrivateKey:
        """Return the key that signs the tokens."""
        return load_key(StackFolder(self.data).issuer_key)

    def client(self, bearer: str | None = None) -> Client:
        """Return a supabase-py client: of the token's user, or anonymous."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        key = self.facts["publishable_key"]
        return create_client(self.facts["supabase_url"], key, self._options(headers))

    def signed_in(self, user: str) -> Client:
        return self.client(self.token(user))

    def operator(self) -> Client:
        """Return a supabase-py client with the secret key."""
        return create_client(
            self.facts["supabase_url"], self.facts["secret_key"], self._options({})
        )


def assistants(
    *arguments: str, timeout_s: float = 120, folder: Path = ROOT, **environment: str
) -> str:
    """Return what the command printed; a failing one raises with what it said.

    Args:
        arguments: The command and what follows it.
        timeout_s: How long it may take.
        folder: In which it is typed.
        environment: Variables that it sees besides.
    """
    done = subprocess.run(
        [sys.executable, "-m", "backend.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"assistants {arguments[0]}: {done.stderr}")
    return done.stdout


@contextmanager
def running_stack(*, workers: int = 1, folder: Path = ROOT) -> Iterator[Stack]:
    """Yield a fresh stack in a folder of its own; nothing of it is left afterwards.

    Args:
        workers: How many.
        folder: In which somebody types `assistants up`.
    """
    data = Path(tempfile.mkdtemp(prefix="supa-stack-", dir="/tmp"))
    options = ["--json", "--detach", "--data", str(data), "--workers", str(workers)]
    stack = None
    try:
        stack = Stack(json.loads(assistants("up", *options, folder=folder)))
        yield stack
    finally:
        if stack is not None:
            stack.close()
        assistants("down", "--data", str(data))
        shutil.rmtree(data)
