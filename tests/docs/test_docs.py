"""What the documents print is run, and what they name exists."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from backend.cli import commands
from backend.settings import DATA_VARIABLE, OwnerSettings, Settings
from tests.docs.conftest import Checkout
from tests.docs.pages import (
    DATA_MODEL,
    README,
    ROOT,
    RUNBOOK,
    STREAMS,
    blocks,
    broken_links,
    names_in,
    pages,
    program,
    rows_below,
)

ANSWER = "This is offline:demo, a deterministic stand-in and no language model."


@pytest.mark.parametrize("fixture", ["checkout", "checkout_over_the_data_api"])
def test_the_python_lines_of_the_readme_print_the_streamed_answer_and_the_stored_one(
    request: pytest.FixtureRequest, fixture: str
) -> None:
    checkout: Checkout = request.getfixturevalue(fixture)
    said = checkout.run("python", "-", typed=program(README, "python"))

    streamed, stored = said.splitlines()
    assert streamed == stored
    assert stored.startswith(ANSWER)


def test_the_python_lines_of_the_readme_can_be_typed_into_the_interpreter(
    checkout: Checkout,
) -> None:
    typed = program(README, "python")

    said = checkout.run("python", "-i", typed=typed)

    assert said.count(ANSWER) == 2


@pytest.mark.parametrize("fixture", ["checkout", "checkout_over_the_data_api"])
def test_the_javascript_lines_of_the_readme_print_the_streamed_answer_and_the_stored_one(
    request: pytest.FixtureRequest, fixture: str
) -> None:
    checkout: Checkout = request.getfixturevalue(fixture)
    typed = program(README, "js")

    said = checkout.run("node", below="supabase/local", typed=typed)

    streamed, stored = said.splitlines()
    assert streamed == stored
    assert stored.startswith(ANSWER)


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_readme_needs_six_lines_for_a_streamed_answer(language: str) -> None:
    lines = blocks(README, language)[0].splitlines()

    counted = [line for line in lines if line and not re.match(r"(import|from)\b", line)]

    assert len(counted) == 6


def test_the_python_of_the_data_model_runs(checkout: Checkout) -> None:
    checkout.run("python", "-", typed=program(DATA_MODEL, "python"))


def test_the_javascript_of_the_data_model_says_what_the_page_says(checkout: Checkout) -> None:
    typed = program(DATA_MODEL, "js")

    said = checkout.run("node", below="supabase/local", typed=typed)

    assert said.splitlines() == [
        f'completed {ANSWER} You said: "What is a lease?".',
        "true true",
        "true true",
        "[ 'assistant', 'user' ] true",
        "incomplete cancelled",
        "true",
        "superseded completed",
        "23505",
        "[ 'tool_call', 'tool_result', 'text' ]",
        "PT409",
        "To show [ 'user', 'assistant' ]",
        "PT404",
        "user_bob 0 0 1",
        "# Leases [ 'leases.md' ]",
    ]


def test_the_javascript_of_the_streams_follows_a_session_to_its_answer(checkout: Checkout) -> None:
    said = checkout.run("node", below="supabase/local", typed=blocks(STREAMS, "js")[0])

    assert f"completed {ANSWER}" in said


def test_the_readme_names_every_setting_and_no_other() -> None:
    fields = {**Settings.model_fields, **OwnerSettings.model_fields}
    known = {name.upper() for name in fields} | {DATA_VARIABLE}

    assert sorted(rows_below(README, "Configuration")) == sorted(known)


def test_the_readme_names_every_command_and_no_other() -> None:
    named = {row.removeprefix("assistants ").split()[0] for row in rows_below(README, "Commands")}

    assert named == set(get_command(commands).commands)  # type: ignore[attr-defined]


def test_the_runbook_names_events_and_codes_that_exist() -> None:
    written = "".join(
        file.read_text("utf-8")
        for folder in ("backend", "supabase/migrations")
        for file in (ROOT / folder).rglob("*.*")
        if file.suffix in {".py", ".sql"}
    )
    assert [name for name in sorted(names_in(RUNBOOK)) if name not in written] == []
    # Tables and columns are not all that it names.
    assert {"token.refused", "model_quota_exceeded"} <= names_in(RUNBOOK)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_each_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []
