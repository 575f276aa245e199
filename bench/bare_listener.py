"""The least that anybody could do with the same rows: LISTEN, claim one, say when.

`python -m bench.bare_listener`, with a login that may write engine.runs.
"""

import asyncio
import os
import sys
import time

import asyncpg

_CLAIM = """
with candidate as materialized (
    select id from engine.runs where status = 'ready' order by queued_no limit 1
    for update skip locked
)
update engine.runs as r
set status = 'running', fence = 1, worker = 'bare', lease_until = now() + interval '10 s'
from candidate where r.id = candidate.id
returning r.id
"""
_STAMP = "update engine.runs set usage = to_jsonb($2::bigint) where id = $1"


async def main() -> None:
    """Claim until killed."""
    url = os.environ["DATABASE_URL"]
    listener, worker = await asyncpg.connect(url), await asyncpg.connect(url)
    woken = asyncio.Event()
    await listener.add_listener("assistants_wake", lambda *_: woken.set())
    sys.stderr.write("wakeups.listening_started\n")
    sys.stderr.flush()
    while True:
        await woken.wait()
        woken.clear()
        while (claimed := await worker.fetchval(_CLAIM)) is not None:
            called_at = time.monotonic_ns()
            await worker.execute(_STAMP, claimed, called_at)


if __name__ == "__main__":
    asyncio.run(main())
