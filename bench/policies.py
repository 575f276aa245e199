"""What the wall costs: the same requests with and without policies, at three sizes.

"ratio" is of the transaction that the Data API opens for a request, in the database alone; "http_ratio"
of the request as a browser waits for it. "Without" is the same role with BYPASSRLS, so that grants,
triggers and functions stay as they are; what a policy would have added stands in the statement instead.
"""

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg

from bench.policies_over_http import Browser, open_browser
from bench.project import Project

SIZES = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000}
_ISSUER = "https://clerk.example.com"
_PIN = "update engine.settings set token_issuer = $1"
_HEAVY = "user_heavy"
_DEEP = "00000000-0000-4000-9000-000000000001"
_BLOCKS = 12
_REPEATS = 100
_WARM_UP = 8
# As PostgREST asks: who asks comes first, and the rows become one JSON text in the database.
_AS_JSON = """
with pgrst_source as ({})
select null::bigint as total_result_set, pg_catalog.count(_postgrest_t) as page_total,
    coalesce(json_agg(_postgrest_t), '[]') as body
from (select * from pgrst_source) as _postgrest_t
"""
_REQUEST = """
select set_config('search_path', '"public", "extensions"', true),
    set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true),
    set_config('request.method', 'GET', true), set_config('request.path', '/messages', true),
    set_config('request.headers', '{"accept": "application/json"}', true),
    set_config('request.cookies', '{}', true)
"""
_EXPLAIN = "analyze, buffers, verbose, format json"
_CLAIMS = json.dumps(
    {
        "azp": "https://app.example.com",
        "exp": 2000000000,
        "fva": [1, -1],
        "iss": _ISSUER,
        "role": "authenticated",
        "sid": "sess_2abcdefghijklmnopqrstuvwxyz",
        "sts": "active",
        "sub": _HEAVY,
        "v": 2,
    }
)

# Half of all messages are one user's, a tenth of all in one session; the others have fifty each.
_SESSIONS = """
insert into public.chat_sessions (id, user_id, assistant_id, title, last_message_at)
select md5(u || ' ' || s)::uuid, u, (select default_assistant_id from engine.settings),
    'Chat ' || s, now() - make_interval(mins => s)
from (
    select 'user_heavy' as u, generate_series(0, $1::int / 250 - 1) as s
    union all
    select 'user_' || n, 0 from generate_series(0, $1::int / 100 - 1) as n
) as t
on conflict do nothing
"""
_DEEP_SESSION = f"""
insert into public.chat_sessions (id, user_id, assistant_id, title)
select '{_DEEP}', 'user_heavy', default_assistant_id, 'Deep' from engine.settings
on conflict do nothing
"""
_MESSAGES = f"""
insert into public.messages (id, session_id, user_id, position, role, content, created_at)
select gen_random_uuid(), t.session_id, t.user_id, nextval('engine.message_positions'),
    case n % 2 when 1 then 'user' else 'assistant' end,
    jsonb_build_array(jsonb_build_object('type', 'text', 'text',
        'word' || n % 7 || ' dragon' || n || ' of ' || t.user_id
        || case when n % ($2::int / 20) = 0 then ' needle' else '' end
        || repeat(' and so on it goes', case n % 4 when 0 then 50 else 3 end))),
    now()
from generate_series($1::int + 1, $2::int) as n
cross join lateral (
    select
        case when n % 10 = 0 then '{_DEEP}'::uuid
            when n % 2 = 0 then md5('user_heavy ' || n / 2 % ($2::int / 250))::uuid
            else md5('user_' || n / 2 % ($2::int / 100) || ' 0')::uuid
        end as session_id,
        case when n % 2 = 0 then 'user_heavy' else 'user_' || n / 2 % ($2::int / 100) end as user_id
) as t
"""


@dataclass(frozen=True)
class Statement:
    """One thing that a browser does."""

    guarded: str
    bare: str
    """With the condition of the policy spelt out."""
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Took:
    """Of one request in the database."""

    request_ms: float
    """The whole transaction that the Data API opens for it."""
    statement_ms: float


STATEMENTS = {
    "page": Statement(
        "select * from public.messages where session_id = $1 order by position desc limit 50",
        "select * from public.messages where session_id = $1 and tenant_id = 'user_heavy'"
        " order by position desc limit 50",
        (_DEEP,),
    ),
    "sessions": Statement(
        "select * from public.chat_sessions order by last_message_at desc, id desc limit 50",
        "select * from public.chat_sessions where tenant_id = 'user_heavy'"
        " order by last_message_at desc, id desc limit 50",
        (),
    ),
    "insert": Statement(
        "insert into public.messages (session_id, content) values ($1, $2) returning *",
        "insert into public.messages (session_id, content) values ($1, $2) returning *",
        (_DEEP, '"Hello"'),
    ),
    "search": Statement(
        "select * from public.search_messages('needle word0')",
        "select * from public.search_messages('needle word0')",
        (),
    ),
}


async def measure(project: Project, *, quick: bool) -> dict[str, Any]:
    """Return medians in milliseconds, their ratio and the plans, for each size and statement."""
    async with open_browser(project) as browser:
        return await _measure(project, browser, list(SIZES.items())[: 2 if quick else 3])


async def _measure(
    project: Project, browser: Browser, sizes: list[tuple[str, int]]
) -> dict[str, Any]:
    found: dict[str, Any] = {"policies": {}, "plans": []}
    there = 0
    await project.clear()
    # As on a hosted project; and both sides keep their plans, as a connection of the Data API does
    # from the sixth time on.
    hosted = {"random_page_cost": "1.1", "plan_cache_mode": "force_generic_plan"}
    line = await asyncpg.connect(project.admin_url, server_settings=hosted)
    # A planner that waits for a vacuum in between would change its mind in the middle.
    await project.admin.execute("alter table public.messages set (autovacuum_enabled = off)")
    await project.admin.execute("alter table public.chat_sessions set (autovacuum_enabled = off)")
    for name, size in sizes:
        began = time.monotonic()
        await _grow(project, there, size)
        there = size
        of_size: dict[str, Any] = {"fill_s": time.monotonic() - began}
        for what, statement in STATEMENTS.items():
            await project.admin.execute(_PIN, _ISSUER)
            of_size[what] = await _compare(project, line, statement)
            await project.admin.execute(_PIN, browser.issuer)
            of_size[what] |= await browser.compare(what, partial(_switch, project))
            found["plans"] += _short(name, what, of_size[what])
        found["policies"][name] = of_size
    await line.close()
    await project.clear()
    await project.admin.execute(_PIN, None)
    return found


async def _grow(project: Project, there: int, size: int) -> None:
    async with project.admin.transaction():
        await project.admin.execute("set local session_replication_role = replica")
        await project.admin.execute(_DEEP_SESSION)
        await project.admin.execute(_SESSIONS, size)
        await project.admin.execute(_MESSAGES, there, size)
    await project.admin.execute("vacuum analyze public.messages")
    await project.admin.execute("vacuum analyze public.chat_sessions")


async def _compare(project: Project, line: Any, statement: Statement) -> dict[str, Any]:
    """Return both sides' medians; they take turns, so that both meet the same machine."""
    took: dict[bool, list[Took]] = {True: [], False: []}
    plans: dict[bool, Any] = {}
    for block in range(_BLOCKS):
        # Whoever comes first finds colder caches: they take turns in that, too.
        for is_guarded in (True, False) if block % 2 else (False, True):
            await _switch(project, is_guarded)
            sql = statement.guarded if is_guarded else statement.bare
            took[is_guarded].append(await _block(line, sql, statement.values))
            plans[is_guarded] = plans.get(is_guarded) or await _plan(line, sql, statement.values)
    await _switch(project, True)  # noqa: FBT003
    pairs = list(zip(took[True], took[False], strict=True))
    return {
        "on_ms": statistics.median(it.request_ms for it in took[True]),
        "off_ms": statistics.median(it.request_ms for it in took[False]),
        "ratio": statistics.median(on.request_ms / off.request_ms for on, off in pairs),
        "statement_ratio": statistics.median(
            on.statement_ms / off.statement_ms for on, off in pairs
        ),
        "cost_ms": statistics.median(on.statement_ms - off.statement_ms for on, off in pairs),
        "plan_on": plans[True],
        "plan_off": plans[False],
    }


async def _switch(project: Project, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Policies hold for users from now on, or do not; every kept plan is made again."""
    switch = "nobypassrls" if is_on else "bypassrls"
    await project.admin.execute(f"alter role authenticated {switch}")
    # Plans do not notice the role. A change of the tables' entries they notice, and unlike a change
    # of the tables it makes no Data API read the schema again.
    await project.admin.execute(
        "update pg_class set relname = relname where oid = any(array["
        "'public.messages', 'public.chat_sessions', 'engine.settings']::regclass[])"
    )


async def _block(line: Any, sql: str, values: tuple[Any, ...]) -> Took:
    """Return the medians of a warm connection."""
    took = []
    prepared = await line.prepare(_AS_JSON.format(sql))
    # What is inserted is undone: the next one shall meet the same tables.
    ending = "rollback" if sql.startswith("insert") else "commit"
    begin, request, end = [await line.prepare(it) for it in ("begin", _REQUEST, ending)]
    for _ in range(_WARM_UP + _REPEATS):
        began = time.perf_counter()
        await begin.fetch()
        await request.fetch(_CLAIMS)
        asked = time.perf_counter()
        await prepared.fetch(*values)
        answered = time.perf_counter()
        await end.fetch()
        took.append(Took(time.perf_counter() - began, answered - asked))
    kept = took[_WARM_UP:]
    return Took(
        statistics.median(it.request_ms for it in kept) * 1e3,
        statistics.median(it.statement_ms for it in kept) * 1e3,
    )


async def _become(line: Any) -> None:
    await line.execute("set local role authenticated")
    await line.execute("select set_config('request.jwt.claims', $1, true)", _CLAIMS)


async def _plan(line: Any, sql: str, values: tuple[Any, ...]) -> Any:
    transaction = line.transaction()
    await transaction.start()
    await _become(line)
    (plan,) = json.loads(await line.fetchval(f"explain ({_EXPLAIN}) {sql}", *values))
    await transaction.rollback()
    return [plan]


def _short(size: str, what: str, found: dict[str, Any]) -> Iterator[str]:
    for side in ("on", "off"):
        (plan,) = found[f"plan_{side}"]
        steps = " > ".join(_steps(plan["Plan"]))
        pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        yield (
            f"{size} {what}, policies {side}: {steps}; {pages} pages,"
            f" planned in {plan['Planning Time']:.2f} ms, run in {plan['Execution Time']:.2f} ms"
        )


def _steps(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["Node Type"] + (f" {plan['Index Name']}" if "Index Name" in plan else "")
    for part in plan.get("Plans", ()):
        yield from _steps(part)
