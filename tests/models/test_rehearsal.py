"""A worker's first answer holds its other runs up no longer than any later one."""

import subprocess
import sys

from backend.integrations.models.rehearsal import rehearse
from tests.models.servers import Unreliable
from tests.support.processes import ROOT

_FIRST_ANSWER = """
import asyncio, sys, time
from backend.integrations.models.openai import OpenAIProvider
from backend.integrations.models.rehearsal import rehearse
from tests.models.asking import ask

async def answer():
    provider = OpenAIProvider("key", base_url=sys.argv[1])
    before = time.process_time()
    await provider.generate(ask("Hello"))
    print(time.process_time() - before)
    await provider.aclose()

before = time.process_time()
rehearse()
print(time.process_time() - before)
asyncio.run(answer())
"""


async def test_a_rehearsal_is_held_where_a_loop_runs_already() -> None:
    rehearse()


def test_what_a_first_answer_costs_is_paid_by_the_rehearsal(unreliable: Unreliable) -> None:
    command = [sys.executable, "-c", _FIRST_ANSWER, unreliable.base_url]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rehearsal_s, answer_s = map(float, ended.stdout.split())
    # Of this process's own CPU time, so that other processes do not count; 30 times, as measured.
    assert answer_s < rehearsal_s / 5
