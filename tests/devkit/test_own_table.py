"""A table of one's own: what the generator writes is guarded, and its tests notice what breaks."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.errors import InputInvalid
from backend.integrations.supabase import bundle, own_table
from tests.support.cluster import Database

NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
_PIN = '"only tokens of our issuer count"'


def made(database: Database, into: Path) -> tuple[Path, Path]:
    """Return the files for `notes` of `author_id`, after applying the migration as the owner."""
    migration, tests = own_table.write("notes", "author_id", into=into, now=NOW)
    script = migration.read_text(encoding="utf-8")
    database.cluster.execute(script, database=database.name, role="postgres")
    return migration, tests


def run(tests: Path, database: Database, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, tests.name],
        cwd=tests.parent,
        env={"PATH": os.environ["PATH"], "ADMIN_DATABASE_URL": database.url()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_files_are_where_one_looks_for_them(tmp_path: Path) -> None:
    written = own_table.write("notes", "author_id", into=tmp_path, now=NOW)

    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "supabase/migrations/20261201083000_create_notes.sql",
        "tests/test_notes_policies.py",
    ]
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert "public.notes" in text
        assert "author_id" in text
        assert "own_rows" not in text
        assert "owner_id" not in text


def test_the_tests_of_a_new_table_pass(database: Database, tmp_path: Path) -> None:
    _, tests = made(database, tmp_path)
    assert database.execute("insert into public.notes values (default, 'user_2ada', 'x')") == ""

    done = run(tests, database)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert database.execute("select content from public.notes").strip() == "x"


def test_where_an_issuer_is_pinned_nothing_is_skipped(database: Database, tmp_path: Path) -> None:
    _, tests = made(database, tmp_path)
    database.execute("update engine.settings set token_issuer = 'https://clerk.example.com'")

    done = run(tests, database)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    "mistake",
    [
        'alter policy "users read their own notes" on notes using (true)',
        'alter policy "users change their own notes" on notes using (true) with check (true)',
        'alter policy "users change their own notes" on notes with check (true)',
        'alter policy "users delete their own notes" on notes using (true)',
        'alter policy "users write notes of their own" on notes with check (true)',
        'alter policy "users read their own notes" on notes to public',
        'drop policy "users read their own notes" on notes',
        f"drop policy {_PIN} on notes",
        f"alter policy {_PIN} on notes using (true) with check (true)",
        "alter table notes disable row level security",
        "grant select on notes to anon",
        "grant all on notes to anon",
        "grant truncate on notes to authenticated",
        "grant insert (author_id) on notes to authenticated",
        "grant update (author_id) on notes to authenticated",
        "grant update (created_at) on notes to authenticated",
        "alter table notes alter author_id set default 'user_everybody'",
        "revoke delete on notes from authenticated",
        "revoke select on notes from service_role",
        "drop index notes_author_id_created_at_idx",
        """alter policy "users read their own notes" on notes
        using (auth.jwt() ->> 'sub' = author_id)""",
    ],
)
def test_the_tests_notice_a_mistake(database: Database, tmp_path: Path, mistake: str) -> None:
    _, tests = made(database, tmp_path)
    database.execute(mistake)

    done = run(tests, database, "--exitfirst")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed" in done.stdout


@pytest.mark.parametrize(
    ("table", "owner", "said"),
    [
        ("Notes", "user_id", "no name"),
        ("notes; drop table messages", "user_id", "no name"),
        ("../notes", "user_id", "no name"),
        ("n" * 41, "user_id", "no name"),
        ("notes", "user id", "no name"),
        ("messages", "user_id", "taken"),
        ("notes", "content", "taken"),
    ],
)
def test_a_name_that_is_none_or_taken_is_refused(
    tmp_path: Path, table: str, owner: str, said: str
) -> None:
    with pytest.raises(InputInvalid, match=said):
        own_table.write(table, owner, into=tmp_path, now=NOW)

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    own_table.write("notes", "user_id", into=tmp_path, now=NOW)

    with pytest.raises(InputInvalid, match="there already"):
        own_table.write("notes", "user_id", into=tmp_path, now=NOW)


def test_it_is_a_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", own_table.__name__, "notes", "--into", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert [Path(line).exists() for line in done.stdout.splitlines()] == [True, True]


def test_the_template_pins_tokens_as_the_products_own_tables_do() -> None:
    pins = set()
    for file in ("policies/shared_assistants.sql", "templates/own_table.sql"):
        text = (bundle.folder() / file).read_text(encoding="utf-8")
        pins.add(text.partition(f"create policy {_PIN}")[2].partition("\n")[2].strip())

    assert len(pins) == 1
