"""Every migration since the first schema can be undone, and its rollback says what it is."""

import re
import tomllib

import pytest

from backend.integrations.supabase import bundle
from tests.support.migrating import FIRST_SCHEMA
from tests.support.processes import ROOT

UNDOABLE = [step for step in bundle.migrations() if step.version > FIRST_SCHEMA]
HEAD = re.compile(
    r"-- Purpose: +\S.*\n(?:-- .*\n)*-- Guarantee: +\S.*\n(?:-- .*\n)*"
    r"-- Caller: +`assistants migrate --back-to`\.\n"
)


def test_each_migration_since_the_first_schema_has_a_rollback_and_no_other_file_has() -> None:
    rollbacks = sorted(file.name for file in (bundle.folder() / "rollbacks").iterdir())

    assert rollbacks == [step.file for step in UNDOABLE]


@pytest.mark.parametrize("step", UNDOABLE, ids=lambda step: step.name)
def test_a_rollback_has_a_head_and_waits_for_nobody_for_ever(step: bundle.Migration) -> None:
    assert step.rollback
    assert HEAD.match(step.rollback)
    assert "set lock_timeout = '5s';" in step.rollback
    assert "set statement_timeout = " in step.rollback


@pytest.mark.parametrize("step", UNDOABLE, ids=lambda step: step.name)
def test_a_rollback_drops_nothing_that_others_have_built(step: bundle.Migration) -> None:
    assert step.rollback
    assert not re.search(r"\bcascade\b", re.sub(r"--.*", "", step.rollback))


def test_the_wheel_brings_every_folder_of_sql_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]

    for folder in ("migrations", "policies", "rollbacks", "templates"):
        assert taken[f"supabase/{folder}"] == f"backend/_supabase/{folder}"
