"""A worker's first answer holds its other runs up no longer than any later one."""

import subprocess
import sys

from backend.integrations.models.openai import OpenAI
from backend.integrations.models.rehearsal import rehearse
from tests.models.servers import Unreliable
from tests.support.processes import ROOT

_FIRST_ANSWER = """
import asyncio, sys, time
from pydantic import SecretStr
from backend.app.accounts import Account, HOSTED, open_provider
from backend.ports.clock import SystemClock
from tests.models.asking import ask

name, url = sys.argv[1:]
vendor = HOSTED.get(name, "backend.integrations.models.compatible:Compatible")

async def answer(provider):
    before = time.process_time()
    await provider.generate(ask("Hello"))
    print(time.process_time() - before)
    await provider.aclose()

before = time.process_time()
provider = open_provider(name, Account(vendor, "X", url, SecretStr("key"), None), SystemClock())
print(time.process_time() - before)
asyncio.run(answer(provider))
"""


async def test_a_rehearsal_is_held_where_a_loop_runs_already() -> None:
    rehearse(OpenAI)


def test_what_a_first_answer_costs_is_paid_before(unreliable: Unreliable, name: str) -> None:
    command = [sys.executable, "-c", _FIRST_ANSWER, name, unreliable.url_of(name)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    before_s, answer_s = map(float, ended.stdout.split())
    # Of this process's own CPU time, so that other processes do not count; 50 times, as measured.
    assert answer_s < before_s / 10
