"""`python -m tests.support.wall`: writes what a freshly migrated database says of its wall."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import asyncpg

from backend.integrations.supabase import bundle, wall
from backend.integrations.supabase.service_role import create_service_role
from backend.integrations.supabase.wall import Thing
from tests.support.cluster import DEFAULT_MAJOR, ClusterPool, Database

FILE = Path(wall.__file__).with_name(wall.FILE)
_PUBLIC = """
select array(
    select relname::text from pg_class where relnamespace = 'public'::regnamespace
    union select proname::text from pg_proc where pronamespace = 'public'::regnamespace)
"""


async def described(database: Database) -> list[Thing]:
    """Return everything in `engine` and `public`, in the same words on every version."""
    await create_service_role(database.url())
    connection: Any = await asyncpg.connect(database.url())
    try:
        names = await connection.fetchval(_PUBLIC)
        said = await connection.fetchval("select engine.describe_wall($1)", names)
    finally:
        await connection.close()
    return [wall.normalised(thing) for thing in json.loads(said)]


def with_files(things: list[Thing]) -> list[Thing]:
    """Return the things, each with the file of `supabase` that has the last word on it."""
    folder = bundle.folder()
    policies = sorted((folder / "policies").rglob("*.sql"))
    migrations = sorted((folder / "migrations").glob("*.sql"), reverse=True)
    texts = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in (*policies, *migrations)
    }
    return [{**thing, **_places(thing, texts)} for thing in things]


def written(things: list[Thing]) -> str:
    """Return the file's text: one thing a line, in the order of kinds and names."""
    ordered = sorted(things, key=lambda it: (it["kind"], it["name"]))
    lines = [json.dumps(it, ensure_ascii=False, sort_keys=True) for it in ordered]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _places(thing: Thing, texts: dict[str, str]) -> dict[str, str]:
    table = str(thing["name"]).partition(": ")[0]
    if thing["kind"] == "column":
        table = table.rpartition(".")[0]
    table = re.escape(table)
    made = (_made_by(thing), rf"create (table|view|sequence) {table}\b", rf"policy .* on {table}\b")
    places = {"file": _first(made, texts) or "migrations"}
    if thing["kind"] == "role":
        places = {"file": _first(made[:1], texts) or "local/prelude.sql"}
    granted = _first((rf"revoke all on {table}\b",), texts)
    if thing["kind"] in ("table", "view", "column") and granted:
        places["grants_in"] = granted
    return places


def _first(patterns: tuple[str, ...], texts: dict[str, str]) -> str | None:
    for pattern in patterns:
        for name, text in texts.items():
            if re.search(pattern, text, re.IGNORECASE):
                return name
    return None


def _made_by(thing: Thing) -> str:
    table, _, own = thing["name"].partition(": ")
    name = re.escape(thing["name"].partition("(")[0])
    patterns = {
        "column": rf"\badd column {re.escape(name.rpartition('.')[2])}\b",
        "constraint": rf"\bconstraint {re.escape(own)}\b",
        "function": rf"create (or replace )?function {name}\(",
        "policy": rf'create policy "{re.escape(own)}" on {re.escape(table)}\b',
        "role": rf"create role {name}\b",
        "schema": rf"create schema {name}\b",
        "table": rf"alter table {name} enable row level security",
        "trigger": rf"create (constraint )?trigger {re.escape(own)}\b",
    }
    return patterns.get(thing["kind"], rf"create (view|sequence) {name}\b")


def main() -> None:
    """Write the file."""
    pool = ClusterPool()
    try:
        with pool.of(DEFAULT_MAJOR).database() as database:
            things = asyncio.run(described(database))
    finally:
        pool.stop()
    FILE.write_text(written(with_files(things)), encoding="utf-8")


if __name__ == "__main__":
    main()
