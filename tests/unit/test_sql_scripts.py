"""SQL files are cut where PostgreSQL would cut them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.integrations.supabase import bundle
from backend.integrations.supabase.scripts import same_script, statements


@pytest.mark.parametrize(
    "statement",
    [
        "select ';'",
        "select 'it''s; fine'",
        "select e'\\';'",
        'select 1 as "a;b"',
        "select $$ ; $$",
        "select $body$ ; $$ ; $body$",
        "select 1 -- ; not yet\n + 1",
        "select /* ; /* ; */ ; */ 1",
        "create function f() returns int begin atomic select 1; select 2; end",
        "create function f() returns int begin atomic select case when true then 1 end; end",
    ],
)
def test_a_semicolon_inside_something_ends_no_statement(statement: str) -> None:
    assert statements(f"{statement};\nselect 2;") == [statement, "select 2"]


def test_a_comment_belongs_to_the_statement_behind_it() -> None:
    assert statements("-- why\nselect 1;\n\n") == ["-- why\nselect 1"]


def test_an_unfinished_quote_ends_with_the_file() -> None:
    assert statements("select 1; select $$ ; $ more") == ["select 1", "select $$ ; $ more"]


def test_scripts_that_differ_in_white_space_only_are_the_same() -> None:
    assert same_script("select 1;\n  select 2;", "select 1;select 2")
    assert not same_script("select 1", "select 2")


def test_the_migrations_put_together_again_are_the_files() -> None:
    for migration in bundle.migrations():
        assert same_script(";".join(statements(migration.script)), migration.script)


@given(st.text(alphabet="ab;'\"$-/* \n\\", max_size=40))
def test_nothing_is_lost_whatever_the_script(script: str) -> None:
    assert same_script("".join(statements(script)), script)
