"""The guide's commands, as printed, take an empty project that looks like a hosted one to an answer."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.devkit import ports
from tests.docs.pages import DEPLOY, blocks
from tests.support.cluster import DEFAULT_MAJOR, ClusterPool
from tests.support.hosted import Hosted, hosted_project
from tests.support.identities import ADA

ANSWER = "This is offline:demo, a deterministic stand-in and no language model."
LIMIT_S = 120
# What somebody did by hand in the SQL editor.
_DRIFT = """
alter policy "members read the messages of their tenant" on public.messages using (true);
grant insert (role) on public.messages to authenticated;
alter table public.chat_sessions disable row level security;
"""
_TOOLS = Path(sys.executable).parent


@pytest.fixture
def hosted() -> Iterator[Hosted]:
    """Yield an empty project on a server of its own: logins belong to a server."""
    pool = ClusterPool()
    try:
        with hosted_project(pool.of(DEFAULT_MAJOR)) as made:
            yield made
    finally:
        pool.stop()


def settings_of(hosted: Hosted) -> str:
    """Return the `.env` that somebody has filled in, who has read step 2."""
    known = hosted.project.environment
    given = {
        **{name: known[name] for name in known if name != "REALTIME_BROADCAST"},
        "ALLOWED_ORIGINS": "http://localhost:5173",
        "DATABASE_TRANSACTION_POOLER": "true",
        # Of this machine, on which others serve, too.
        "API_PORT": str(ports.choose(None)),
    }
    return "".join(f"{name}={value}\n" for name, value in given.items())


def typed(*, with_login: bool) -> str:
    """Return what the reader types: every command, with one of the two ways in step 3."""
    first, owner, login, no_login, rest, run, doctor = blocks(DEPLOY, "sh")
    assert "--service-role" in login
    way = login if with_login else no_login
    return f"{first}{owner}{way}{rest}{run}{_UNTIL_READY}{doctor}"


# Who types it by hand is slower than this.
_UNTIL_READY = """
until python -c 'import os, urllib.request as r
r.urlopen("http://127.0.0.1:" + os.environ["API_PORT"] + "/readyz")' 2>/dev/null; do sleep 0.1; done
"""


@pytest.mark.parametrize("with_login", [True, False], ids=["with a login", "over the Data API"])
def test_the_guide_leads_from_an_empty_project_to_an_answer(
    hosted: Hosted, tmp_path: Path, *, with_login: bool
) -> None:
    (tmp_path / ".env").write_text(settings_of(hosted), "utf-8")
    (tmp_path / "first.py").write_text("\n".join(blocks(DEPLOY, "python")), "utf-8")
    script = f"set -euo pipefail\ntrap 'kill $(jobs -p); wait' EXIT\n{typed(with_login=with_login)}\npython first.py\n"
    environment = {
        "HOME": str(tmp_path),
        "LOG_FOLDER": "",
        "PATH": f"{_TOOLS}:{os.environ['PATH']}",
        "TOKEN": hosted.project.sign_in.token(ADA),
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        # Pasted at the prompt of `read`.
        input=f"{hosted.owner_url}\n",
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(ANSWER)
    assert "FAIL" not in done.stdout
    assert "things are as this release has them" in done.stdout
    assert ("DATABASE_URL=" in (tmp_path / ".env").read_text("utf-8")) is with_login

    hosted.database.execute(_DRIFT)
    drifted = subprocess.run(
        ["bash", "-c", "set -a; . ./.env; set +a; assistants doctor --policies"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert drifted.returncode == 1, drifted.stderr
    found = [line for line in drifted.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split(": ")[0] for line in found] == [
        "FAIL  column public.messages.role",
        "FAIL  policy public.messages",
        "FAIL  table public.chat_sessions",
    ]
