"""supabase/policies and supabase/migrations say the same, and the headings say what is true."""

import re
from pathlib import Path

import pytest

from tests.support.cluster import Database
from tests.support.snapshots import catalogue_of

SUPABASE = Path(__file__).parents[2] / "supabase"
POLICIES = sorted((SUPABASE / "policies").glob("*.sql"))
_NAMES = [file.stem for file in POLICIES]


def test_there_is_a_file_for_each_table_that_a_browser_may_touch(kept_database: Database) -> None:
    tables = kept_database.execute(
        "select distinct table_name from information_schema.role_table_grants"
        " where grantee = 'authenticated' and table_schema = 'public' order by 1"
    )

    assert tables.splitlines() == _NAMES


def test_the_policies_applied_again_change_nothing(database: Database) -> None:
    before = catalogue_of(database)

    _apply(database, *POLICIES)

    assert catalogue_of(database) == before


@pytest.mark.parametrize(
    "drift",
    [
        'alter policy "members read the sessions of their tenant" on public.chat_sessions using (true)',
        "grant insert (role) on public.messages to authenticated",
        "grant select on public.assistants to anon",
        "alter table public.messages disable row level security",
        'drop policy "members delete what they wrote, starters and admins all" on public.messages',
        "revoke update on public.assistants from service_role",
    ],
)
def test_a_drift_of_the_database_is_seen_and_healed(database: Database, drift: str) -> None:
    wanted = catalogue_of(database)
    database.execute(drift)
    assert catalogue_of(database) != wanted

    _apply(database, *POLICIES)

    assert catalogue_of(database) == wanted


@pytest.mark.parametrize("file", POLICIES, ids=_NAMES)
def test_a_migration_ships_the_file_word_for_word_but_for_its_timeouts(file: Path) -> None:
    newest = max((SUPABASE / "migrations").glob(f"*_protect_{file.stem}.sql"))

    assert _without_timeouts(file) in _without_timeouts(newest)


@pytest.mark.parametrize("file", POLICIES, ids=_NAMES)
@pytest.mark.parametrize("command", ["insert", "update"])
def test_the_heading_names_the_columns_that_are_granted(
    kept_database: Database, file: Path, command: str
) -> None:
    granted = kept_database.execute(
        "select column_name from information_schema.column_privileges"
        f" where grantee = 'authenticated' and table_schema = 'public'"
        f" and table_name = '{file.stem}'"
        f" and privilege_type = '{command.upper()}'"
    )
    columns = kept_database.execute(
        f"select column_name from information_schema.columns"
        f" where table_schema = 'public' and table_name = '{file.stem}'"
    )

    cells = _heading(file)
    named = cells["insert"] if "the same columns" in cells[command] else cells[command]

    assert set(re.findall(r"\w+", named)) & set(columns.split()) == set(granted.split())


@pytest.mark.parametrize("file", POLICIES, ids=_NAMES)
@pytest.mark.parametrize("command", ["select", "insert", "update", "delete"])
def test_the_heading_says_refused_where_nothing_is_granted(
    kept_database: Database, file: Path, command: str
) -> None:
    may = kept_database.execute(
        f"select has_any_column_privilege('authenticated', 'public.{file.stem}', '{command}')"
        if command != "delete"
        else f"select has_table_privilege('authenticated', 'public.{file.stem}', 'delete')"
    )

    assert _heading(file)[command].startswith("refused") == (may == "f")


def test_applying_them_needs_no_superuser(database: Database) -> None:
    script = "\n".join(file.read_text(encoding="utf-8") for file in POLICIES)

    database.cluster.execute(script, database=database.name, role="postgres")


def _apply(database: Database, *files: Path) -> None:
    script = "\n".join(file.read_text(encoding="utf-8") for file in files)
    database.cluster.execute(script, database=database.name, role="postgres")


def _without_timeouts(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not re.match(r"set \w+_timeout", line)).strip()


def _heading(file: Path) -> dict[str, str]:
    """Return the owner's cell for each command, its lines joined."""
    cells: dict[str, str] = {}
    command = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if "|" not in line or not line.startswith("--"):
            continue
        first, own, *_ = (cell.strip(" -") for cell in line.split("|"))
        command = first or command
        cells[command] = f"{cells.get(command, '')} {own}".strip()
    return cells
