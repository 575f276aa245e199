"""`python -m backend.integrations.supabase.own_table notes --owner user_id`: a guarded table, and the tests for it."""

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from backend.errors import AssistantsError, InputInvalid
from backend.integrations.supabase import bundle

_TEMPLATES = {
    "own_table.sql": "supabase/migrations/{time}_create_{table}.sql",
    "test_own_table.py": "tests/test_{table}_policies.py",
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SAMPLE_TABLE, _SAMPLE_OWNER = "own_rows", "owner_id"
# Of the template's other columns, and of this product's tables.
_TAKEN_COLUMNS = {"id", "content", "created_at"}
_TAKEN_TABLES = {"assistants", "chat_sessions", "messages", "runs", "shared_assistants"}


def write(table: str, owner: str, *, into: Path, now: datetime) -> list[Path]:
    """Return the new migration and the new test file.

    Args:
        table: In the schema `public`.
        owner: The column that holds the user's Clerk id.
        into: The project's folder.
        now: Becomes the migration's version.

    Raises:
        InputInvalid: A name is none, is taken, or a file is there already; nothing was written.
    """
    _check(table, _TAKEN_TABLES)
    _check(owner, _TAKEN_COLUMNS)
    made = {
        into / path.format(time=f"{now:%Y%m%d%H%M%S}", table=table): _text(name, table, owner)
        for name, path in _TEMPLATES.items()
    }
    if there := [path for path in made if path.exists()]:
        raise InputInvalid(f"{there[0]} is there already.")
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(made)


def _check(name: str, taken: set[str]) -> None:
    if not _NAME.fullmatch(name):
        raise InputInvalid(
            f"{name!r} is no name: a letter, then letters, digits and _, at most 40."
        )
    if name in taken:
        raise InputInvalid(f"{name} is taken.")


def _text(template: str, table: str, owner: str) -> str:
    text = (bundle.folder() / "templates" / template).read_text(encoding="utf-8")
    return text.replace(_SAMPLE_TABLE, table).replace(_SAMPLE_OWNER, owner)


def main() -> None:
    """Write both files and say where they are."""
    parser = argparse.ArgumentParser(
        prog="python -m backend.integrations.supabase.own_table", description=__doc__
    )
    parser.add_argument("table", help="in the schema public")
    parser.add_argument("--owner", default="user_id", help="the column of the user's Clerk id")
    parser.add_argument("--into", type=Path, default=Path(), help="the project's folder")
    told = parser.parse_args()
    try:
        made = write(told.table, told.owner, into=told.into, now=datetime.now(UTC))
    except AssistantsError as error:
        sys.exit(str(error))
    sys.stdout.writelines(f"{path}\n" for path in made)


if __name__ == "__main__":
    main()
