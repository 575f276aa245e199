"""The composition root of the local stack.

Apart from `app`, because a supervisor lives as long as the stack and needs none of the service's
libraries: it starts the service by its command.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.devkit import supervisor, tokens
from backend.devkit.folder import StackFolder
from backend.devkit.stack import Composition, Wishes
from backend.devkit.tokens import Subject
from backend.errors import LocalStackFailed

__all__ = ["Subject", "Wishes", "down", "token", "up", "up_detached"]

# In the caller's folder may lie a module of any name: none of ours is looked for there.
_MODULE = [sys.executable, "-P", "-m", "backend.cli"]


def up(data: Path, wishes: Wishes, *, as_json: bool) -> None:
    """Run a stack until somebody asks it to stop; where everything is stands on stdout.

    Raises:
        LocalStackFailed: A stack runs there already, or a part did not start.
    """
    folder = StackFolder(data)

    def on_ready(description: dict[str, Any]) -> None:
        text = json.dumps(description, indent=2) if as_json else _overview(description)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    with _system_errors():
        supervisor.run(folder, _composition(), wishes, on_ready)


def up_detached(data: Path, wishes: Wishes, *, or_running: bool) -> dict[str, Any]:
    """Return what `stack.json` says once a stack is ready that outlives this process.

    Args:
        data: The data folder.
        wishes: What the caller asked for.
        or_running: A stack that runs there already will do.

    Raises:
        LocalStackFailed: A stack runs there already, or a part did not start.
    """
    folder = StackFolder(data)
    with _system_errors():
        if or_running and (description := supervisor.running(folder)):
            return description
        return supervisor.run_detached(folder, _composition(), wishes)


def down(data: Path) -> bool:
    """Return whether a stack ran; none does any more."""
    with _system_errors():
        return supervisor.shut_down(StackFolder(data))


def token(data: Path, target_issuer: str | None, subject: Subject) -> str:
    """Return a session token of the stack's own issuer for 60 seconds.

    Args:
        data: The data folder of a stack.
        target_issuer: Whom the service that the token is for trusts.
        subject: Whom the token speaks for.

    Raises:
        LocalStackFailed: The target trusts another issuer than this stack's.
    """
    folder = StackFolder(data)
    local = supervisor.issuer_url(folder)
    if local is None or target_issuer != local:
        trusted = f"trusts {target_issuer}" if target_issuer else "names no issuer"
        raise LocalStackFailed(
            f"The target {trusted}, and only the local issuer's tokens can be made here: sign in there."
        )
    with _system_errors():
        key = tokens.load_key(folder.issuer_key)
    return tokens.mint(key, local, subject, now_s=int(time.time()))


@contextmanager
def _system_errors() -> Iterator[None]:
    """Turn a file that belongs to another account, or a full disk, into one sentence."""
    try:
        yield
    except OSError as error:
        raise LocalStackFailed(f"{error.filename or 'The stack'}: {error.strerror}") from error


def _composition() -> Composition:
    return Composition(prepare=_prepare, serve=[*_MODULE, "serve"], work=[*_MODULE, "work"])


def _prepare(admin_url: str, service_password: str, issuer: str, seed: bool) -> None:  # noqa: FBT001
    import asyncio  # noqa: PLC0415 - as below

    asyncio.run(_prepare_database(admin_url, service_password, issuer, seed=seed))


async def _prepare_database(
    admin_url: str, service_password: str, issuer: str, *, seed: bool
) -> None:
    # Runs in a process of its own, with which these imports end.
    from backend.integrations.supabase import migrations  # noqa: PLC0415
    from backend.integrations.supabase.service_role import create_service_role  # noqa: PLC0415
    from backend.integrations.supabase.token_issuer import pin_issuer  # noqa: PLC0415

    await migrations.apply(admin_url)
    # Its port may have changed since the last time.
    await pin_issuer(admin_url, issuer)
    await create_service_role(admin_url, password=service_password)
    if seed:
        await migrations.seed(admin_url)


def _overview(description: dict[str, Any]) -> str:
    lines = [
        "",
        f"  Supabase URL     {description['supabase_url']}",
        f"  publishable key  {description['publishable_key']}",
        f"  secret key       {description['secret_key']}",
        f"  database         {description['admin_database_url']}",
        f"  API              {description['api_url']}",
        f"  token issuer     {description['issuer_url']}",
        f"  data and logs    {description['data']}",
        "",
        f"  A user's token:  assistants token --user user_ada --data {description['data']}",
        "  Stop:            Ctrl-C",
    ]
    return "\n".join(lines)
