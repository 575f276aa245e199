"""What `assistants doctor --policies` compares with is what the migrations build, on every version."""

import json
from collections.abc import Callable

import pytest

from backend.integrations.supabase import bundle, wall
from tests.support.chat import Chat
from tests.support.cluster import MAJORS, Database
from tests.support.identities import user
from tests.support.wall import FILE, described, with_files, written


@pytest.mark.parametrize("major", MAJORS)
async def test_the_promised_wall_is_the_one_that_the_migrations_build(
    database_of: Callable[[int], Database], major: int
) -> None:
    built = with_files(await described(database_of(major)))

    assert written(built).splitlines() == FILE.read_text(encoding="utf-8").splitlines(), (
        "run ./scripts/wall"
    )


def test_each_thing_names_a_file_that_is_there() -> None:
    for thing in wall.promised():
        for place in ("file", "grants_in"):
            assert (bundle.folder() / thing.get(place, "migrations")).exists(), thing


def test_every_kind_of_thing_is_in_the_wall() -> None:
    kinds = {thing["kind"] for thing in wall.promised()}

    assert kinds == {
        *("schema", "table", "view", "column", "sequence", "function"),
        *("policy", "trigger", "constraint", "role"),
    }


async def test_a_description_holds_no_row_and_no_body_of_a_function(chat: Chat) -> None:
    await chat.browser(user("user_x")).start_session("Secret")

    said = json.dumps(await described(chat.database))

    assert "Secret" not in said
    assert "user_x" not in said
    assert "return new" not in said
