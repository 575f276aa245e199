"""Rules that hold for every object of the schemas, whoever adds one."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import Database, PreparedCluster

_OURS = "('public'::regnamespace, 'engine'::regnamespace)"

# Definer functions of `engine` and who may execute them: anything not listed is nobody's.
_EXECUTABLE = {
    "assistants_engine": {
        "announce_events",
        "checkpoint_run",
        "claim_runs",
        "defer_run",
        "describe_wall",
        "diagnose",
        "dismiss_worker",
        "fail_run",
        "find_batched",
        "find_cached",
        "finish_run",
        "flush_events",
        "heartbeat_runs",
        "lease_rate",
        "keep_cached",
        "keep_summary",
        "land_batch",
        "lead_cached",
        "list_models",
        "note_batch",
        "park_run",
        "purge",
        "queue_batched",
        "read_model_key",
        "read_streams",
        "readiness",
        "reap_runs",
        "record_calls",
        "release_cached",
        "release_run",
        "report_worker",
        "reserve_budget",
        "run_history",
        "schema_version",
        "take_batches",
        "wake_workers",
    },
    "authenticated": {
        "cancel_own_run",
        "find_messages",
        "open_stream",
        "regenerate_own",
        "submit_own_outputs",
        "read_shared",
        "share_own_session",
        # asked by policies: of storage, and of tables of one's own
        "caller_id",
        "token_is_trusted",
        # used by a check constraint and an index, as whoever writes the row
        "content_text",
        "fits",
        "is_answer_form",
        "is_content",
        "is_options",
        "is_part",
        "is_plain",
        "is_schema",
        "is_tool_choice",
        "is_truncation",
        "owner_lexeme",
        "search_vector",
    },
    "service_role": {
        "content_text",
        "fits",
        "is_answer_form",
        "is_content",
        "is_options",
        "is_part",
        "is_plain",
        "is_schema",
        "is_tool_choice",
        "is_truncation",
        "owner_lexeme",
        "search_vector",
    },
    # what a link shows
    "anon": {"read_shared"},
}
# Over the Data API the secret key may do what the service's login may, by wrappers in `public`.
_EXECUTABLE["service_role"] |= _EXECUTABLE["assistants_engine"]
# What the service may do in a user's name, with a secret key.
_ACTED = {
    "cancel_run",
    "read_stream",
    "regenerate",
    "search_messages",
    "submit_tool_outputs",
}
_OF_VISITORS = {"read_shared_session"}
_OF_BROWSERS = _ACTED | _OF_VISITORS | {"share_session"}
_OF_THE_SECRET_KEY = {
    *(f"act_as_{name}" for name in _ACTED),
    *(f"service_{name}" for name in _EXECUTABLE["assistants_engine"]),
}

# A foreign key from a column that a browser may write, and what stands between it and others' rows.
_GUARDED_KEYS = {
    ("chat_sessions", "assistant_id"): "trigger set_session_assistant (test_sharing.py)",
}

_PIN = "only tokens of our issuer count"

# A policy may read these without an index: it never finds rows by them alone.
_UNINDEXED = {
    ("assistants", "org_id"),
    ("assistants", "visibility"),
    ("chat_sessions", "status"),
    ("chat_sessions", "user_id"),
    ("messages", "author_id"),
    ("messages", "role"),
    ("messages", "user_id"),
    ("session_shares", "created_by"),
    ("session_shares", "user_id"),
    ("shared_assistants", "visibility"),
    ("usage_days", "user_id"),
    ("messages", "extension"),  # of realtime, whose rows Realtime finds by id
    ("objects", "name"),  # of storage, whose rows Storage finds by bucket and name
}


@pytest.fixture(scope="module")
def catalogue(cluster: PreparedCluster) -> Iterator[Database]:
    with cluster.database() as database:
        yield database


def _lines(database: Database, sql: str) -> list[Any]:
    return [tuple(line.split("|")) for line in database.execute(sql).splitlines()]


def test_every_table_has_row_level_security(catalogue: Database) -> None:
    unprotected = _lines(
        catalogue,
        f"select relname from pg_class where relnamespace in {_OURS}"
        " and relkind in ('r', 'p') and not relrowsecurity",
    )

    assert unprotected == []


def test_every_view_runs_with_the_rights_of_its_reader(catalogue: Database) -> None:
    unsafe = _lines(
        catalogue,
        f"select relname from pg_class where relnamespace in {_OURS} and (relkind = 'm' or"
        " relkind = 'v' and coalesce(reloptions::text, '') not like '%security_invoker=true%')",
    )

    assert unsafe == []


def test_every_policy_is_for_signed_in_users_and_one_command(catalogue: Database) -> None:
    policies = _lines(
        catalogue,
        "select policyname, roles, cmd, permissive, count(*) over (partition by"
        " schemaname, tablename, cmd) from pg_policies where schemaname in ('public', 'engine')",
    )

    assert len(policies) > 10
    for name, roles, command, permissive, together in policies:
        kind = "RESTRICTIVE" if name == _PIN else "PERMISSIVE"
        assert (roles, permissive, together) == ("{authenticated}", kind, "1"), name
        assert (name == _PIN) is (command == "ALL"), name


def test_on_every_table_only_tokens_of_our_issuer_count(catalogue: Database) -> None:
    of_tenant = "(tenant_id = ( SELECT c.tenant_id FROM engine.caller c))"
    asked = {
        "public.assistants": "(user_id = ( SELECT c.id FROM engine.caller c))",
        "public.shared_assistants": "(( SELECT c.id FROM engine.caller c) IS NOT NULL)",
    }
    pinned = _lines(
        catalogue,
        "select schemaname || '.' || tablename, regexp_replace(qual, '\\s+', ' ', 'g'),"
        " regexp_replace(with_check, '\\s+', ' ', 'g')"
        f" from pg_policies where policyname = '{_PIN}'",
    )
    reachable = _lines(
        catalogue,
        "select distinct schemaname || '.' || tablename from pg_policies"
        " where schemaname in ('public', 'engine')",
    )

    assert sorted(pinned) == sorted(
        (table, *[asked.get(table, of_tenant)] * 2) for (table,) in reachable
    )


def test_every_policy_asks_for_the_identity_once_a_statement(catalogue: Database) -> None:
    for name, expression in _lines(
        catalogue,
        "select policyname, replace(coalesce(qual, '') || ' ' || coalesce(with_check, ''), chr(10),"
        " ' ') from pg_policies where schemaname in ('public', 'engine')",
    ):
        if name == _PIN:
            continue
        wrapped = re.findall(
            r"\(\s*SELECT c\.\w+(?:,\s+c\.\w+)?\s+FROM engine\.caller c\)", expression
        )
        assert wrapped, name
        assert expression.count("engine.") == len(wrapped), name
        assert "auth." not in expression, name


def test_every_column_that_a_policy_finds_rows_by_leads_an_index(catalogue: Database) -> None:
    read = _lines(
        catalogue,
        "select distinct c.relname, a.attname from pg_policy p join pg_class c on c.oid = p.polrelid"
        " join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid"
        " and d.refobjid = c.oid and d.refobjsubid > 0"
        " join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid"
        " where p.polcmd <> 'a'",
    )
    leading = _lines(
        catalogue,
        "select c.relname, a.attname from pg_index i join pg_class c on c.oid = i.indrelid"
        " join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]",
    )

    assert ("messages", "tenant_id") in read
    assert set(read) - set(leading) == _UNINDEXED


def test_every_foreign_key_leads_an_index(catalogue: Database) -> None:
    missing = _lines(
        catalogue,
        "select k.conrelid::regclass, k.conname from pg_constraint k where k.contype = 'f'"
        f" and k.connamespace in {_OURS} and not exists (select from pg_index i"
        " where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1])",
    )

    assert missing == [("engine.settings", "settings_default_assistant_id_fkey")]


def test_no_function_of_public_has_more_rights_than_its_caller(catalogue: Database) -> None:
    functions = _lines(
        catalogue,
        "select proname, prosecdef from pg_proc where pronamespace = 'public'::regnamespace",
    )

    assert set(functions) == {(name, "f") for name in _OF_BROWSERS | _OF_THE_SECRET_KEY}


def test_a_wrapper_takes_and_gives_what_its_function_does(catalogue: Database) -> None:
    different = _lines(
        catalogue,
        "select w.proname from pg_proc w left join pg_proc f"
        " on f.pronamespace = 'engine'::regnamespace and w.proname = 'service_' || f.proname"
        " and pg_get_function_arguments(f.oid) = pg_get_function_arguments(w.oid)"
        " and (f.prorettype, f.proretset, f.provolatile)"
        " = (w.prorettype, w.proretset, w.provolatile)"
        " where w.pronamespace = 'public'::regnamespace and w.proname like 'service%'"
        " and f.oid is null",
    )

    assert different == []


def test_every_function_has_an_empty_search_path(catalogue: Database) -> None:
    unset = _lines(
        catalogue,
        f"select oid::regprocedure from pg_proc where pronamespace in {_OURS}"
        """ and not 'search_path=""' = any(coalesce(proconfig, '{}'))""",
    )

    assert unset == []


@pytest.mark.parametrize("role", _EXECUTABLE)
def test_a_role_may_execute_exactly_these_functions_of_the_engine(
    catalogue: Database, role: str
) -> None:
    held = _lines(
        catalogue,
        "select distinct proname from pg_proc where pronamespace = 'engine'::regnamespace"
        f" and has_function_privilege('{role}', oid, 'execute')",
    )

    assert {name for (name,) in held} == _EXECUTABLE[role]


@pytest.mark.parametrize(
    ("role", "expected"),
    [("anon", _OF_VISITORS), ("authenticated", _OF_BROWSERS), ("service_role", _OF_THE_SECRET_KEY)],
)
def test_a_role_may_execute_exactly_these_functions_of_public(
    catalogue: Database, role: str, expected: set[str]
) -> None:
    held = _lines(
        catalogue,
        "select proname from pg_proc where pronamespace = 'public'::regnamespace"
        f" and has_function_privilege('{role}', oid, 'execute')",
    )

    assert {name for (name,) in held} == expected


def test_nothing_is_granted_to_everybody(catalogue: Database) -> None:
    granted = _lines(
        catalogue,
        "select o.name from (select oid::regprocedure::text as name, proacl as acl, 'f' as kind,"
        f" proowner as owner from pg_proc where pronamespace in {_OURS}"
        " union all select oid::regclass::text, relacl, 'r', relowner from pg_class"
        f" where relnamespace in {_OURS} and relkind in ('r', 'v', 'S')) o,"
        ' aclexplode(coalesce(o.acl, acldefault(o.kind::"char", o.owner))) as a'
        " where a.grantee = 0",
    )

    assert granted == []


def test_every_table_view_and_function_says_what_it_is(catalogue: Database) -> None:
    silent = _lines(
        catalogue,
        f"select oid::regclass::text from pg_class where relnamespace in {_OURS}"
        " and relkind in ('r', 'v') and obj_description(oid, 'pg_class') is null"
        f" union all select oid::regprocedure::text from pg_proc where pronamespace in {_OURS}"
        " and obj_description(oid, 'pg_proc') is null",
    )

    assert silent == []


def test_every_foreign_key_that_a_browser_writes_is_composite_or_guarded(
    catalogue: Database,
) -> None:
    keys = _lines(
        catalogue,
        "select distinct k.conrelid::regclass, a.attname from pg_constraint k"
        " join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)"
        f" where k.contype = 'f' and k.connamespace in {_OURS} and cardinality(k.conkey) = 1"
        " and (has_column_privilege('authenticated', k.conrelid, a.attnum, 'insert')"
        " or has_column_privilege('authenticated', k.conrelid, a.attnum, 'update'))",
    )

    assert set(keys) == set(_GUARDED_KEYS)


def test_a_composite_key_names_the_owner_or_the_session(catalogue: Database) -> None:
    keys = _lines(
        catalogue,
        "select pg_get_constraintdef(oid) from pg_constraint"
        f" where contype = 'f' and connamespace in {_OURS} and cardinality(conkey) > 1",
    )

    assert len(keys) == 4
    for (definition,) in keys:
        assert re.search(r"FOREIGN KEY \(session_id, (user_id|parent_id)\)", definition), definition


def test_every_definer_function_belongs_to_the_owner_of_the_tables(catalogue: Database) -> None:
    owners = _lines(
        catalogue,
        "select distinct proowner::regrole from pg_proc where prosecdef"
        f" and pronamespace in {_OURS} union select distinct relowner::regrole from pg_class"
        f" where relnamespace in {_OURS} and relkind = 'r'",
    )

    assert owners == [("postgres",)]
