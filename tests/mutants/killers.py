"""What each mutant died of last, which is asked first: what is wrong there costs time, and no more.

`python -m tests.mutants.killers` writes it anew; in a conflict either side will do.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from tests.mutants.ground import Ground, open_ground
from tests.mutants.kinds import KINDS
from tests.mutants.trial import Trial
from tests.mutants.verdicts import Verdicts
from tests.mutants.wall import checks
from tests.support.cluster import DEFAULT_MAJOR, ClusterPool

FILE = Path(__file__).with_name("killers.json")


def read() -> dict[str, str]:
    """Return the ids of checks by the names of mutants; those of rules are found as fast without."""
    found: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


async def _found(ground: Ground, known: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, kind in KINDS.items():
        async with AsyncExitStack() as stack:
            verdicts = Verdicts(name, kind)
            await verdicts.collect(Trial(ground, await ground.connect(stack), checks(), known))
            killers = verdicts.killers.items()
            found |= {mutant: killer.id for mutant, killer in killers if not killer.is_rule}
    return found


def main() -> None:
    """Write the file."""
    pool = ClusterPool()
    try:
        with open_ground(pool.of(DEFAULT_MAJOR)) as ground:
            found = asyncio.run(_found(ground, read()))
    finally:
        pool.stop()
    text = json.dumps(found, indent=0, sort_keys=True, ensure_ascii=False)
    FILE.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
