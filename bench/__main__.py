"""`python -m bench`: all measurements. `python -m bench campaign`: a thousand messages under fire."""

import asyncio
import json
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench import backlog, campaign, latency, models, policies, streams, throughput, transports
from bench.data_api import over_the_data_api
from bench.project import open_project
from bench.report import table
from bench.services import signing_in


def main() -> None:
    """Measure, print a table, and leave a file where one is asked for."""
    options = _options()
    if options.what == "campaign":
        plan = (
            campaign.Plan(messages=300, sessions=30, for_s=18) if options.quick else campaign.Plan()
        )
        found = asyncio.run(_campaign(plan, data_api=options.data_api))
        is_sound = campaign.is_sound(found, plan)
    else:
        found, is_sound = asyncio.run(_measure(options)), True
    print(table(found))
    for line in [*found.get("plan", []), *found.get("plans", [])]:
        print(f"    {line}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if not is_sound:
        sys.exit("The audit found what must not be.")


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m bench", description=__doc__)
    choices = ["all", "latency", "throughput", "backlog", "policies", "streams", "transports"]
    choices += ["models", "campaign"]
    parser.add_argument("what", nargs="?", choices=choices, default="all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--compare", action="store_true", help="beside the least anybody could do")
    parser.add_argument(
        "--data-api", action="store_true", help="campaign: workers and services without a login"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    return parser.parse_args()


async def _measure(options: Namespace) -> dict[str, Any]:
    rounds, quick = (2, True) if options.quick else (5, False)
    found: dict[str, Any] = {}
    if options.what in ("all", "models"):
        found |= await models.measure(rounds=3 if quick else 7)
    if options.what == "models":
        return found
    async with open_project() as project:
        if options.what in ("all", "latency"):
            inserts = 50 if quick else 150
            found |= await latency.measure(
                project, rounds=rounds, inserts=inserts, compare=options.compare
            )
        if options.what in ("all", "throughput"):
            found |= await throughput.measure(project, rounds=rounds, runs=300 if quick else 1500)
        if options.what in ("all", "transports"):
            found |= await transports.measure(project, rounds=rounds, runs=100 if quick else 300)
        if options.what in ("all", "backlog"):
            found |= await backlog.measure(project)
            await project.clear()
        if options.what in ("all", "policies"):
            found |= await policies.measure(project, quick=quick)
        if options.what in ("all", "streams"):
            found |= await streams.measure(project, rounds=rounds, quick=quick)
    return found


async def _campaign(plan: campaign.Plan, *, data_api: bool) -> dict[str, Any]:
    async with open_project() as project, AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="supa-bench-campaign-"))
        if data_api:
            users = await stack.enter_async_context(over_the_data_api(project))
        else:
            users = stack.enter_context(signing_in())
        return await campaign.run(project, users, Path(folder), plan)


if __name__ == "__main__":
    main()
