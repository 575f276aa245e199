"""Mutants of functions: more rights, a mutable search path, and checks that check nothing."""

import re
from collections.abc import Iterator
from typing import Any

from tests.mutants.conditions import without_one
from tests.mutants.mutant import Mutant, mutant

_FUNCTIONS = """
select p.oid::regprocedure::text as name, p.prosecdef as definer, l.lanname as language,
    p.prorettype::regtype::text as returns, pg_get_functiondef(p.oid) as definition,
    array_to_string(array(select tgrelid::regclass from pg_trigger where tgfoid = p.oid), ' ') as tables
from pg_proc p join pg_language l on l.oid = p.prolang
where p.pronamespace in ('public'::regnamespace, 'engine'::regnamespace) order by 1
"""
_STATEMENT = r"(?:'(?:[^']|'')*'|[^;'])*;"
# What stands between a caller and somebody else's rows, or between a user and the operator's rules:
# what is missing, how it is found, and what stands there instead.
_IDENTITIES = [
    ("owner does not matter", r"[\w.]+ = \( ?SELECT engine\.\w+\(\) AS \w+\)", "true"),
    ("owner does not matter", r"[\w.]+ = engine\.caller_\w+\(\)", "true"),
    ("owner does not matter", r"[\w.]+ <> engine\.caller_\w+\(\)", "false"),
]
_CHECKS = [
    *_IDENTITIES,
    ("raises nothing", rf"raise exception\s{_STATEMENT}", "null;"),
    ("does not set", rf"(?<![\w.])new\.\w+ := {_STATEMENT}", "null;"),
    ("does not ask", rf"(?:perform|new\.\w+ :=) engine\.check_\w+\({_STATEMENT}", "null;"),
    ("takes a browser for a service", r"engine\.caller_is_browser\(\)", "false"),
]
_ASKS_WHO = re.compile(r"engine\.caller|auth\.jwt")


async def attributes(connection: Any) -> list[Mutant]:
    """Return functions with other rights than they have, or without their search path."""
    return [found for row in await connection.fetch(_FUNCTIONS) for found in _attributes_of(row)]


def _attributes_of(row: Any) -> Iterator[Mutant]:
    name = row["name"]
    other = "invoker" if row["definer"] else "definer"
    alter = f"alter function {name}"
    yield mutant(f"{name}: security {other}", f"{alter} security {other}", by_rules=True)
    if "search_path" in row["definition"]:
        reset = f"{alter} reset search_path"
        yield mutant(f"{name}: mutable search_path", reset, by_rules=True)


async def checks(connection: Any) -> list[Mutant]:
    """Return functions that lack one of their checks."""
    rows = await connection.fetch(_FUNCTIONS)
    return [found for row in rows for found in _checks_of(row, _used_by(row, rows))]


def _used_by(row: Any, rows: list[Any]) -> str:
    """Return the functions that call this one, itself, and the tables whose triggers do."""
    call = f"{row['name'].partition('(')[0]}("
    users = [it for it in rows if call in it["definition"]]
    return " ".join(f"{it['name'].partition('(')[0]} {it['tables']}" for it in users)


def _checks_of(row: Any, about: str) -> Iterator[Mutant]:
    for what, changed in _broken(row):
        yield mutant(f"{row['name']}: {what}", changed, about=f"{about} {what}")


def _broken(row: Any) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each definition, and that definition."""
    text = row["definition"]
    for how, pattern, by in _CHECKS if row["language"] == "plpgsql" else _IDENTITIES:
        for found in re.finditer(pattern, text):
            what = " ".join(found.group().split())
            yield f"{how}: {what}", text[: found.start()] + by + text[found.end() :]
    if row["language"] == "sql" and row["returns"] == "boolean":
        head = text[: text.index("BEGIN ATOMIC")]
        for answer in ("true", "false"):
            yield f"always {answer}", f"{head}BEGIN ATOMIC SELECT {answer}; END"
    if row["language"] == "sql" and _ASKS_WHO.search(text):
        for condition, rest in without_one(text):
            yield f"lacks {condition}", rest
