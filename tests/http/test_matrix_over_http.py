"""Every cell of tests/db/matrix again, through supabase-py and supabase-js and the Data API."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.db.test_grants import _TABLES
from tests.http.matrix_requests import Script, answers_to
from tests.http.matrix_served import Served, granted, served_by, served_here
from tests.support import external_stack
from tests.support.forgeries import FORGERIES
from tests.support.matrix import Cell, cells, rows
from tests.support.node import node_tests

_SCRIPT = Path(__file__).with_name("matrix.test.mjs")
_STATUSES = {
    "42501": 403,
    "23514": 400,
    "PT404": 404,
    "PT409": 409,
    "PGRST301": 401,
    "PGRST303": 401,
    "PGRST200": 400,
}
# Whose tokens the local Data API refuses before it asks the database; Supabase asks it.
_STOPPED = {"foreign_issuer", "longer_issuer", "no_issuer"}
# A claim that chose no role: over HTTP it does, and that is `role_postgres`.
_SQL_ALONE = {"claims_postgres", "claims_service_role", "claims_supabase_admin"}
# The local Data API embeds no view, and a merging upsert leaves the columns of its conflict alone: for
# who may edit the message it is an edit. PostgREST sets those too, which nobody may. It also takes
# tokens that the local one refuses, all of them signed by the issuer.
_LOCAL_ALONE = {"endless", "not_yet", "unknown_kid", "without_kid"}
_UNSERVED = {("chat_sessions", "embed_runs")}
_MERGED = {("personal", "owner"), ("organisation", "starter")}
# Whoever may read a row may be told why it cannot be changed.
_INSIDE = {
    "personal": {"owner"},
    "organisation": {"member", "author", "demoted", "starter", "admin"},
}
_IS_OURS = not external_stack.is_named()
# A project that asks a running issuer is a local stack too, with the local Data API.
_IS_LOCAL = _IS_OURS or bool(os.environ.get("TEST_ISSUER_URL"))


def _cells() -> list[Cell]:
    """Return the cells that have a request; forged tokens try each verb on each table of Ada's."""
    whole = [it for it in cells() if it.operation.verb != "truncate" and it.who not in _SQL_ALONE]
    own = (it for it in whole if (it.whose, it.who) == ("personal", "owner"))
    verbs = {(it.table, it.operation.verb, it.operation.target): it for it in own}
    forged = [
        replace(it, group="forged", who=who, expected=code)
        for it in verbs.values()
        for who, code in FORGERIES.items()
        if _IS_LOCAL or who not in _LOCAL_ALONE
    ]
    if _IS_LOCAL:
        whole = [_as_served_here(it) for it in whole if (it.table, it.command) not in _UNSERVED]
    # Where nothing can be put back, nothing is tried that would change something.
    return [*forged, *(it for it in whole if _IS_OURS or it.is_denied or it.operation.only_reads)]


def _as_served_here(cell: Cell) -> Cell:
    expected = cell.expected
    if cell.who in _STOPPED:
        expected = "PGRST301"
    elif cell.command == "merge" and (cell.whose, cell.group) in _MERGED:
        expected = "1"
    return replace(cell, expected=expected)


def _outside(tried: list[Cell]) -> dict[str, Cell]:
    """Return a cell of each group that is denied something with a name, by what and to whom."""
    return {
        f"{it.whose}-{it.group}-{it.command}-{it.table}": it
        for it in reversed(tried)
        if it.is_denied
        and it.operation.names_something
        and it.group not in {"forged", *_INSIDE[it.whose]}
    }


CELLS = _cells()
_ROWS = rows(CELLS)
_OUTSIDE = _outside(CELLS)


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Yield a world of its own, or one in the project that the environment names."""
    if not _IS_OURS:
        with served_by(request.getfixturevalue("stack")) as made:
            yield made
        return
    cluster = request.getfixturevalue("cluster")
    with cluster.database() as database, served_here(database) as made:
        yield made


@pytest.fixture(scope="module", params=["supabase-py", "supabase-js"])
def answers(
    served: Served, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return what every attempt was answered, by its id."""
    script = served.script(CELLS, list(_OUTSIDE.values()))
    if request.param == "supabase-js":
        return _answers_to_js(script, tmp_path_factory.mktemp("matrix"))
    return answers_to(script)


def _answers_to_js(script: Script, folder: Path) -> dict[str, Any]:
    given, found = folder / "given.json", folder / "found.json"
    given.write_text(json.dumps(asdict(script)))
    node_tests(_SCRIPT, given=str(given), found=str(found))
    answered: dict[str, Any] = json.loads(found.read_text())
    return answered


@pytest.mark.parametrize("row", _ROWS)
def test_each_cell_of_the_row(answers: dict[str, Any], row: str) -> None:
    found = {cell.who: _told(cell, *answers[cell.id][:2]) for cell in _ROWS[row]}

    assert found == {cell.who: _expected(cell) for cell in _ROWS[row]}


def _told(cell: Cell, status: int, answer: Any) -> tuple[str, int]:
    """Return what came back: the code and the status of a refusal, else how many rows."""
    if cell.group == "forged" and not _IS_LOCAL:
        return "", status
    return (answer, status) if cell.is_refused else (str(answer), status // 100)


def _expected(cell: Cell) -> tuple[str, int]:
    if cell.group == "forged" and not _IS_LOCAL:
        return "", 401
    if not cell.is_refused:
        return cell.expected, 2
    is_visitor = cell.who == "anonymous" and cell.expected == "42501"
    return cell.expected, 401 if is_visitor else _STATUSES[cell.expected]


@pytest.mark.parametrize("row", _OUTSIDE)
def test_a_foreign_and_a_missing_thing_look_alike(answers: dict[str, Any], row: str) -> None:
    cell = _OUTSIDE[row]

    assert answers[cell.id] == answers[f"missing {cell.id}"]


@pytest.mark.parametrize("command", ["insert", "update"])
@pytest.mark.parametrize("table", _TABLES)
def test_columns_are_written_as_granted(
    served: Served, answers: dict[str, Any], table: str, command: str
) -> None:
    asked = (f"{table} {command} {it[2]}" for it in served.columns if it[:2] == (table, command))
    columns = {name.split()[2]: answers[name] for name in asked if name in answers}

    refused = {name for name, answer in columns.items() if _is_refused(answer)}

    assert columns
    assert columns.keys() - refused == granted(table, command) & columns.keys()


def _is_refused(answer: list[Any]) -> bool:
    """Return whether no policy was asked, nor could have been: the database computes the column."""
    code, words = (str(it) for it in [*answer, ""][1:3])
    return code == "428C9" or (code == "42501" and words.startswith("permission denied for "))


@pytest.mark.skipif(not _IS_OURS, reason="Others write there at the same time.")
def test_what_was_denied_changed_nothing(answers: dict[str, Any]) -> None:
    assert answers["between"] == answers["before"]
    assert answers["after"] == answers["before"]


def test_every_identity_of_the_table_asks_over_http() -> None:
    assert {cell.who for cell in cells()} - {cell.who for cell in CELLS} == _SQL_ALONE
