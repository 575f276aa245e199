"""The page about limits says what the migrations set."""

import re

from tests.docs.pages import ROOT
from tests.support.chat import LIMITS

PAGE = ROOT / "docs" / "limits.md"
MIGRATION = ROOT / "supabase/migrations/20261121004200_add_admission.sql"


def test_each_limit_stands_there_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    columns = re.findall(
        r"add column (\w+) integer default (\d+)", MIGRATION.read_text(encoding="utf-8")
    )

    assert rows == columns
    assert [name for name, _ in rows] == list(LIMITS)
