"""What no row says, whoever writes it: each check of each table refuses by itself."""

from typing import Any

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.worker import delta

# A table, and what is refused in its rows: the column of the check, and values that break it.
_LARGE_OPTIONS = """jsonb_build_object('response_format', jsonb_build_object('type', 'json_schema',
    'json_schema', jsonb_build_object('name', 'x', 'schema', jsonb_build_object('x', repeat('x', 65537)))))"""
_REFUSED = {
    "engine.admissions": {"scope": ["'nobody'"]},
    "engine.batch_items": {
        "bytes": ["-1"],
        "digest": ["''", "repeat('g', 64)"],
        "ended_at": ["now()"],
        "grouping": ["repeat('x', 1001)"],
        "model": ["''", "repeat('x', 201)"],
        "provider": ["''", "'Open AI'", "repeat('x', 41)"],
        "state": ["'lost'"],
        "(state, ended_at)": ["('done', now())"],
    },
    "engine.batches": {
        "ended_at": ["now()"],
        "grouping": ["repeat('x', 1001)"],
        "provider": ["''", "'Open AI'", "repeat('x', 41)"],
        "state": ["'lost'"],
        "(state, vendor_id)": ["('open', null)"],
        "vendor_id": ["repeat('x', 201)"],
    },
    "engine.budget_reservations": {"tokens": ["-1"], "usd": ["-1"]},
    "engine.budgets": {
        "cheaper_model": ["'small'"],
        "(cheaper_model, soft_tokens)": ["(null, 1)"],
        "(hard_tokens, soft_tokens)": ["(1, 2)"],
        "(hard_usd, soft_usd)": ["(1, 1.01)"],
        "(scope, subject)": [
            "('assistant', 'nouuid')",
            "('assistant', upper(gen_random_uuid()::text))",
        ],
        "subject": ["''"],
        "(subject, hard_tokens)": ["(null, null)"],
        "hard_tokens": ["-1"],
        "hard_usd": ["-1"],
        "period": ["'year'"],
        "scope": ["'nobody'"],
        "soft_tokens": ["-1"],
        "soft_usd": ["-1"],
    },
    "engine.cache_entries": {"key": ["'short'"]},
    "engine.cache_limits": {
        "cache": ["'others'"],
        "max_bytes": ["0"],
        "max_entry_bytes": ["0", "10000001"],
        "ttl_s": ["0"],
    },
    "engine.events": {"seq": ["0"], "type": ["'message'", "'Message.delta'"]},
    "engine.model_calls": {
        "asked_model": ["''", "repeat('x', 201)"],
        "cache_write_tokens": ["-1"],
        "cached_tokens": ["-1"],
        "cost_usd": ["-1"],
        "duration_ms": ["-1"],
        "first_token_ms": ["-1"],
        "input_tokens": ["-1"],
        "model": ["''", "repeat('x', 201)"],
        "outcome": ["''", "'Bad'"],
        "output_tokens": ["-1"],
        "price_factor": ["-1", "2"],
        "provider": ["''", "'Open AI'", "repeat('x', 41)"],
        "reasoning_tokens": ["-1"],
    },
    "engine.model_prices": {
        "cache_write_usd": ["-1"],
        "cached_usd": ["-1"],
        "input_usd": ["-1"],
        "model": ["'gpt'"],
        "output_usd": ["-1"],
    },
    "engine.rate_limits": {"key_hash": ["''", "repeat('g', 32)"]},
    "engine.run_steps": {
        "data": ["'[]'", "jsonb_build_object('x', repeat('x', 1048577))"],
        "position": ["-1"],
        "status": ["'running'"],
        "type": ["'text'"],
    },
    "engine.runs": {
        "cancel_reason": ["'bored'"],
        "error": ["'Bad'", "''", "repeat('x', 65)"],
        "lease_until": ["null"],
        "origin": ["'dream'"],
        "status": ["'lost', lease_until = null"],
    },
    "engine.settings": {
        "backoff_limit_s": ["-1", "3601"],
        "backoff_s": ["-1", "61"],
        "batch_wait_s": ["59", "604801"],
        "event_ttl_s": ["0", "86401"],
        "id": ["false"],
        "max_failures": ["0", "101"],
        "model_calls_kept_days": ["0", "36501"],
        "turn_wait_s": ["-1", "86401"],
        "user_models": ["array[null]", "'{gpt-4}'", "'{*}'"],
        "org_messages_per_day": ["0", "1000001"],
        "org_messages_per_minute": ["0", "1000001"],
        "org_open_runs": ["0", "1000001"],
        "run_ttl_s": ["0", "86401"],
        "token_issuer": ["'clerk.example.com'", "'https://clerk.example.com/'"],
        "user_assistants_per_day": ["0", "1000001"],
        "user_messages_per_day": ["0", "1000001"],
        "user_messages_per_minute": ["0", "1000001"],
        "user_open_runs": ["0", "1000001"],
        "user_sessions_per_day": ["0", "1000001"],
    },
    "engine.session_summaries": {
        "summary": ["'[]'", "jsonb_build_object('x', repeat('x', 65537))"],
    },
    "engine.workers": {"name": ["''", "repeat('x', 201)"]},
    "public.assistants": {
        "description": ["repeat('x', 513)"],
        "instructions": ["repeat('x', 262145)"],
        "metadata": ["'[]'", "jsonb_build_object('x', repeat('x', 16385))"],
        "model": ["'demo'", "'offline: demo'"],
        "name": ["''", "repeat('x', 257)"],
        "options": ["'[]'", """'{"tempo": 1}'""", _LARGE_OPTIONS],
        "tools": ["'{}'", "jsonb_build_array(repeat('x', 262145))"],
        "user_id": ["''"],
        "visibility": ["'friends'"],
    },
    "public.chat_sessions": {
        "metadata": ["'[]'", "jsonb_build_object('x', repeat('x', 16385))"],
        "org_id": ["'user_2ada'"],
        "status": ["'closed'"],
        "title": ["''", "repeat('x', 201)"],
        "user_id": ["''", "'org_1'"],
        "while_running": ["'hope'"],
    },
    "public.messages": {
        "client_id": ["''", "repeat('x', 65)"],
        "content": ["'{}'", """jsonb_build_array('{"type": "text"}'::jsonb)"""],
        "error": ["'Bad'", "repeat('x', 65)"],
        "metadata": ["'[]'", "jsonb_build_object('x', repeat('x', 16385))"],
        "ordinal": ["-1"],
        "reason": ["repeat('x', 65)"],
        "role": ["'system'"],
        "status": ["'failed'"],
    },
}
_TEXT = "'type', 'text', 'text', repeat('x', {})"
_COLUMNS_CHECKED = """
select c.connamespace::regnamespace || '.' || r.relname as "table", c.conname as name
from pg_constraint c join pg_class r on r.oid = c.conrelid
where c.contype = 'c' and c.connamespace in ('public'::regnamespace, 'engine'::regnamespace)
"""
# Checks that are not called after their column.
_NAMED = {
    ("engine.runs", "lease_until"): "runs_check",
    ("engine.batches", "(state, vendor_id)"): "batches_opened_check",
    ("engine.batch_items", "(state, ended_at)"): "batch_items_answer_check",
    ("engine.budgets", "cheaper_model"): "budgets_cheaper_model_is_provider_and_name",
    ("engine.budgets", "(cheaper_model, soft_tokens)"): "budgets_soft_limit_has_a_cheaper_model",
    ("engine.budgets", "(hard_tokens, soft_tokens)"): "budgets_soft_tokens_are_not_above_hard",
    ("engine.budgets", "(hard_usd, soft_usd)"): "budgets_soft_usd_is_not_above_hard",
    ("engine.budgets", "(scope, subject)"): "budgets_assistant_is_a_uuid",
    ("engine.budgets", "(subject, hard_tokens)"): "budgets_of_everyone_have_a_limit",
    ("engine.model_prices", "model"): "model_prices_model_is_provider_and_name",
    ("engine.settings", "user_models"): "settings_user_models_are_provider_and_name",
}
_ROWS = """
insert into engine.batches (provider, grouping, askers) values ('openai', '{}', '{}');
insert into engine.batch_items (run_id, digest, provider, model, grouping, body, bytes)
select id, repeat('0', 64), 'openai', 'gpt', '{}', '{}', 2 from engine.runs limit 1;
insert into engine.budgets (scope, subject, period, cheaper_model)
values ('user', 'user_2ada', 'day', 'offline:demo');
insert into engine.budget_reservations (id, tokens, expires_at) values (gen_random_uuid(), 1, now());
insert into engine.cache_entries (cache, key, bytes, expires_at)
values ('results', sha256('x'), 0, now());
insert into engine.model_calls (id, at, provider, model, outcome, duration_ms)
values (gen_random_uuid(), now(), 'offline', 'demo', 'completed', 1);
insert into engine.model_prices (model, valid_from, input_usd, output_usd)
values ('openai:gpt', now(), 1, 1);
insert into engine.rate_limits (models, key_hash, requests, tokens)
values ('openai:*', repeat('0', 32), 1, 1);
insert into engine.session_summaries (session_id, summary)
select id, '{}' from public.chat_sessions limit 1;
"""

_STEP: dict[str, Any] = {
    "position": 0,
    "type": "tool_call",
    "status": "completed",
    "data": {"call_id": "a", "name": "roll_dice", "arguments": {}, "output": 1},
}


def _check_of(table: str, column: str) -> str:
    return _NAMED.get((table, column), f"{table.partition('.')[2]}_{column}_check")


async def _fill(chat: Chat) -> None:
    """Each table has a row, and nothing but constraints looks at what is written."""
    await chat.ada.insert("assistants", name="Mine")
    claim = await chat.claimed()
    await chat.worker.checkpoint(claim, [_STEP], events=[delta(1, claim["run_id"], "x")])
    await chat.worker.call("report_worker", "worker_1")
    await chat.admin.execute("set session_replication_role = replica")
    await chat.admin.execute(_ROWS)


@pytest.mark.parametrize("table", _REFUSED)
async def test_no_row_says_this_whoever_writes_it(chat: Chat, table: str) -> None:
    await _fill(chat)

    for column, values in _REFUSED[table].items():
        for value in values:
            with pytest.raises(asyncpg.CheckViolationError) as raised:
                await chat.admin.execute(f"update {table} set {column} = {value}")
            assert raised.value.as_dict()["constraint_name"] == _check_of(table, column), value


@pytest.mark.parametrize(("role", "limit"), [("user", 262144), ("assistant", 1048576)])
async def test_a_message_is_no_longer_than_its_role_allows(
    chat: Chat, role: str, limit: int
) -> None:
    await _fill(chat)
    await chat.admin.execute("update messages set role = $1", role)
    fits, exceeds = (
        f"jsonb_build_array(jsonb_build_object({_TEXT}))".format(n) for n in (limit - 100, limit)
    )

    await chat.admin.execute(f"update messages set content = {fits}")
    with pytest.raises(asyncpg.CheckViolationError) as raised:
        await chat.admin.execute(f"update messages set content = {exceeds}")

    assert raised.value.as_dict()["constraint_name"] == "messages_check"


async def test_each_check_is_broken_here(empty_chat: Chat) -> None:
    found = {(row["table"], row["name"]) for row in await empty_chat.admin.fetch(_COLUMNS_CHECKED)}
    broken = {
        (table, _check_of(table, column))
        for table, columns in _REFUSED.items()
        for column in columns
    }

    assert broken | {("public.messages", "messages_check")} == found
