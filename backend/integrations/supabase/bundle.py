"""Where the SQL files are: in the checkout, or inside the installed wheel."""

import re
from dataclasses import dataclass
from pathlib import Path

from backend.errors import MigrationRefused

_NAME = re.compile(r"(\d{14})_(\w+)\.sql")
_PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Migration:
    """One file of `supabase/migrations`."""

    version: str
    name: str
    script: str
    rollback: str | None = None
    """What undoes it; the first schema of the product has none."""

    @property
    def file(self) -> str:
        """Return the name of the file, and of the one in `rollbacks`."""
        return f"{self.version}_{self.name}.sql"


def folder() -> Path:
    """Return the folder that holds `migrations`, `rollbacks`, `policies` and `seed.sql`.

    Raises:
        MigrationRefused: The installation is broken: neither place has it.
    """
    for place in (_PACKAGE.parent / "supabase", _PACKAGE / "_supabase"):
        if (place / "migrations").is_dir():
            return place
    raise MigrationRefused("The SQL files are missing from this installation.")


def migrations(place: Path | None = None) -> list[Migration]:
    """Return all migrations, oldest first."""
    files = sorted(((place or folder()) / "migrations").glob("*.sql"))
    return [_read(file) for file in files]


def _read(file: Path) -> Migration:
    named = _NAME.fullmatch(file.name)
    if named is None:
        raise MigrationRefused(f"{file.name} is not named YYYYMMDDHHMMSS_verb_object.sql.")
    undoing = file.parents[1] / "rollbacks" / file.name
    rollback = undoing.read_text(encoding="utf-8") if undoing.exists() else None
    return Migration(named[1], named[2], file.read_text(encoding="utf-8"), rollback)
