"""Every cell of the table in supabase/policies/storage, with and without a project's own policies."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.support.cluster import Database, PreparedCluster
from tests.support.connections import connect
from tests.support.identities import (
    ADA,
    ANONYMOUS,
    BOB,
    EMPTY_SUB,
    NO_SUB,
    ODD,
    SERVICE,
    Identity,
    assume,
    user,
)

# What each identity gets: a number of rows, or the SQLSTATE of the refusal. `owner` and `odd` (an id
# with quotes, spaces and an emoji) act on the file in their own folder, the others on Ada's.
CELLS = """
command    anonymous  no_sub  empty_sub  other  owner  odd
select     0          0       0          0      1      1
list       0          0       0          0      1      1
insert     42501      42501   42501      42501  1      1
upsert     42501      42501   42501      42501  42501  42501
update     0          0       0          0      0      0
rename     0          0       0          0      0      0
move_out   0          0       0          0      0      0
delete     0          0       0          0      1      1
"""
UUID = "0b9e7f52-6a55-4c1f-9d0e-5f2a4c1b7e10"
ISSUER = "https://clerk.example.com"
_NEW = "1c9e7f52-6a55-4c1f-9d0e-5f2a4c1b7e11"
_IDENTITIES = {
    "anonymous": ANONYMOUS,
    "no_sub": NO_SUB,
    "empty_sub": EMPTY_SUB,
    "other": BOB,
    "owner": ADA,
    "odd": ODD,
}
_OF_THE_PROJECT = 'create policy "open" on storage.objects using (true) with check (true)'
_FILL = """
insert into storage.buckets (id, name) values ('others', 'others');
insert into storage.objects (bucket_id, name, owner_id) values {rows};
"""
_ADD = "insert into storage.objects (bucket_id, name, owner_id) values ($1, $2, $3)"
_MOVE = "update storage.objects set bucket_id = 'others', name = 'mine'"
_STATEMENTS = {
    "select": ("select from storage.objects where bucket_id = $1 and name = $2", 2),
    "list": ("select from storage.objects where bucket_id = $1 and starts_with($2, name)", 2),
    "update": ("update storage.objects set metadata = '{}' where bucket_id = $1 and name = $2", 2),
    "rename": ("update storage.objects set name = name || 1 where bucket_id = $1 and name = $2", 2),
    "move_out": (f"{_MOVE} where bucket_id = $1 and name = $2", 2),
    "delete": ("delete from storage.objects where bucket_id = $1 and name = $2", 2),
    "upsert": (f"{_ADD} on conflict (bucket_id, name) do update set metadata = '{{}}'", 3),
}


def _cells() -> list[Any]:
    heading, *rows = (line.split() for line in CELLS.strip().splitlines())
    return [
        pytest.param(command, who, expected, id=f"{who}-{command}")
        for command, *results in rows
        for who, expected in zip(heading[1:], results, strict=True)
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fill(database: Database) -> None:
    rows = [
        f"('{bucket}', {_quoted(f'{who.sub}/{UUID}/a.txt')}, {_quoted(who.sub)})"
        for bucket in ("attachments", "others")
        for who in (ADA, BOB, ODD)
    ]
    # What a caller without an id would take for its own folder.
    rows.append(f"('attachments', '/{UUID}/a.txt', '')")
    database.execute(_FILL.format(rows=", ".join(rows)))


@pytest.fixture(scope="module")
def guarded(cluster: PreparedCluster) -> Iterator[Database]:
    """Yield a project with files, which each test leaves as they were: it rolls back."""
    with cluster.database() as database:
        _fill(database)
        yield database


@pytest.fixture(scope="module")
def opened(cluster: PreparedCluster) -> Iterator[Database]:
    """Yield one whose own policy lets everybody do everything in Storage."""
    with cluster.database() as database:
        _fill(database)
        database.execute(_OF_THE_PROJECT)
        yield database


@pytest.fixture(params=["guarded", "opened"])
def project(request: pytest.FixtureRequest) -> Database:
    """Return the one and the other."""
    found: Database = request.getfixturevalue(request.param)
    return found


@asynccontextmanager
async def acting(database: Database, who: Identity, operation: str = "") -> AsyncIterator[Any]:
    """Yield a transaction of this identity as Storage opens it, which is rolled back."""
    connection = await connect(database.url("authenticator"))
    transaction = connection.transaction()
    await transaction.start()
    try:
        await assume(connection, who)
        settings = {"storage.operation": operation, "storage.allow_delete_query": "true"}
        for name, value in settings.items():
            await connection.execute("select set_config($1, $2, true)", name, value)
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def attempt(
    database: Database, who: Identity, sql: str, *values: Any, operation: str = ""
) -> str:
    """Return how many rows there were, or the SQLSTATE of the refusal."""
    async with acting(database, who, operation) as connection:
        try:
            return str((await connection.execute(sql, *values)).split()[-1])
        except asyncpg.PostgresError as error:
            return str(error.sqlstate)


async def add(
    database: Database, who: Identity, name: str, *, operation: str = "storage.object.upload"
) -> str:
    """Return how an upload of that name to our bucket ends."""
    owner = (who.claims or {}).get("sub")
    values = ("attachments", name, owner)
    return await attempt(database, who, _ADD, *values, operation=operation)


@pytest.mark.parametrize(("command", "who", "expected"), _cells())
async def test_cell(project: Database, command: str, who: str, expected: str) -> None:
    identity = _IDENTITIES[who]
    folder = ODD.sub if who == "odd" else ADA.sub
    if command == "insert":
        assert await add(project, identity, f"{folder}/{_NEW}/a.txt") == expected
        return
    sql, count = _STATEMENTS[command]
    values = ["attachments", f"{folder}/{UUID}/a.txt", (identity.claims or {}).get("sub")]

    assert await attempt(project, identity, sql, *values[:count]) == expected


@pytest.mark.parametrize("who", _IDENTITIES)
async def test_all_that_anybody_sees_is_in_the_own_folder(project: Database, who: str) -> None:
    async with acting(project, _IDENTITIES[who]) as connection:
        seen = await connection.fetch(
            "select name from storage.objects where bucket_id = 'attachments'"
        )
    expected = {"owner": ADA, "other": BOB, "odd": ODD}.get(who)

    assert [it["name"] for it in seen] == (
        [f"{expected.sub}/{UUID}/a.txt"] if expected is not None else []
    )


@pytest.mark.parametrize("who", _IDENTITIES)
async def test_nothing_is_moved_in_from_another_bucket(opened: Database, who: str) -> None:
    sql = (
        "update storage.objects set bucket_id = 'attachments', name = $2, owner_id = $3"
        " where bucket_id = 'others' and name = $1"
    )
    place = f"{ADA.sub}/{_NEW}/a.txt"
    values = (f"{ADA.sub}/{UUID}/a.txt", place, (_IDENTITIES[who].claims or {}).get("sub"))

    assert await attempt(opened, _IDENTITIES[who], sql, *values) == "42501"


@pytest.mark.parametrize("who", _IDENTITIES)
async def test_our_policies_open_no_other_bucket(guarded: Database, who: str) -> None:
    values = ("others", f"{ADA.sub}/{UUID}/a.txt", (_IDENTITIES[who].claims or {}).get("sub"))
    found = {
        command: await attempt(guarded, _IDENTITIES[who], sql, *values[:count])
        for command, (sql, count) in _STATEMENTS.items()
    }

    assert set(found.values()) == {"0", "42501"}, found
    for name in ("b", f"{ADA.sub}/{_NEW}/a.txt"):
        assert await attempt(guarded, _IDENTITIES[who], _ADD, "others", name, values[2]) == "42501"


@pytest.mark.parametrize("who", _IDENTITIES)
async def test_our_policies_close_no_other_bucket(opened: Database, who: str) -> None:
    values = ("others", f"{ADA.sub}/{UUID}/a.txt", (_IDENTITIES[who].claims or {}).get("sub"))
    found = {
        command: await attempt(opened, _IDENTITIES[who], sql, *values[:count])
        for command, (sql, count) in _STATEMENTS.items()
    }

    assert set(found.values()) == {"1"}, found


@pytest.mark.parametrize("who", _IDENTITIES)
async def test_a_deletion_without_a_filter_reaches_ones_own_file_alone(
    guarded: Database, who: str
) -> None:
    # Without a filter no column is read: the policy of the command stands alone.
    expected = "1" if who in {"owner", "other", "odd"} else "0"

    assert await attempt(guarded, _IDENTITIES[who], "delete from storage.objects") == expected


async def test_the_service_does_everything(guarded: Database) -> None:
    everything = "select from storage.objects"
    assert await attempt(guarded, SERVICE, everything) == "7"
    assert await add(guarded, SERVICE, "reports/today.txt") == "1"


async def test_what_the_service_puts_into_a_folder_is_its_owners(guarded: Database) -> None:
    name = f"{ADA.sub}/made/for/you.txt"
    async with acting(guarded, SERVICE) as connection:
        await connection.execute(_ADD, "attachments", name, None)
        await assume(connection, BOB)
        theirs = await connection.execute("delete from storage.objects where name = $1", name)
        await assume(connection, ADA)
        mine = await connection.execute("delete from storage.objects where name = $1", name)

    assert (theirs, mine) == ("DELETE 0", "DELETE 1")


@pytest.mark.parametrize(
    "form",
    [
        "",
        "/",
        "{me}",
        "{me}/",
        "{me}/a.txt",
        "{me}/{id}",
        "{me}/{id}/",
        "{me}/{id}//a.txt",
        "{me}//{id}/a.txt",
        "{me}/{id}/deeper/a.txt",
        "/{me}/{id}/a.txt",
        "//{id}/a.txt",
        "./{me}/{id}/a.txt",
        "{me}/../{me}/{id}/a.txt",
        "{me}/{id}/.",
        "{me}/{id}/..",
        "{me}/{id}/../a.txt",
        "{me}/../{id}/a.txt",
        "{them}/../{me}/a.txt",
        "{me}/not-a-uuid/a.txt",
        "{me}/{ID}/a.txt",
        "{me}/{id}x/a.txt",
        "{me}%2F{id}%2Fa.txt",
        "{me}%2f..%2f{them}/{id}/a.txt",
        "{me} /{id}/a.txt",
        " {me}/{id}/a.txt",
        "{me}\\{id}\\a.txt",
        "{me}\uff0f{id}\uff0fa.txt",
        "{me}\u200b/{id}/a.txt",
        "{ME}/{id}/a.txt",
        "{me}/{id}/{long}",
        "x\n{me}/{id}/a.txt",
        "{them}\n{me}/{id}/a.txt",
        "{them}/{id}/a.txt",
    ],
)
async def test_a_name_of_another_form_is_refused(project: Database, form: str) -> None:
    names = {"me": ADA.sub, "ME": ADA.sub.upper(), "them": BOB.sub, "long": "a" * 256}
    assert await add(project, ADA, form.format(id=_NEW, ID=_NEW.upper(), **names)) == "42501"


@pytest.mark.parametrize(
    "file", ["a", "a.txt", "..a", "...", "a b (1).pdf", "%2e%2e", "ü 😀", "a" * 255]
)
async def test_a_file_in_a_folder_of_its_own_is_taken(project: Database, file: str) -> None:
    assert await add(project, ADA, f"{ADA.sub}/{_NEW}/{file}") == "1"


@pytest.mark.parametrize(
    "sub", ["user_2ad", "user_2ad_", "user_2%", "%", "user_2ADA", "user_2ada "]
)
async def test_an_id_that_resembles_another_reaches_nothing_of_it(
    project: Database, sub: str
) -> None:
    name = f"{ADA.sub}/{UUID}/a.txt"
    assert await attempt(project, user(sub), _STATEMENTS["select"][0], "attachments", name) == "0"
    assert await attempt(project, user(sub), _STATEMENTS["delete"][0], "attachments", name) == "0"
    assert await add(project, user(sub), f"{ADA.sub}/{_NEW}/a.txt") == "42501"


@pytest.mark.parametrize("sub", [f"{ADA.sub}/", f"{ADA.sub}/{UUID}", "a/b", "/", "../x"])
async def test_an_id_with_a_slash_has_no_folder(project: Database, sub: str) -> None:
    assert await add(project, user(sub), f"{sub}/{_NEW}/a.txt") == "42501"
    everything = "select from storage.objects where bucket_id = 'attachments'"
    assert await attempt(project, user(sub), everything) == "0"


@pytest.mark.parametrize("owner", [None, "", BOB.sub])
async def test_nobody_adds_a_file_in_another_name(project: Database, owner: str | None) -> None:
    name = f"{ADA.sub}/{_NEW}/a.txt"
    assert await attempt(project, ADA, _ADD, "attachments", name, owner) == "42501"


@pytest.mark.parametrize(
    "operation",
    ["storage.object.copy", "storage.s3.object.copy", "storage.s3.upload.part_copy"],
)
async def test_a_copy_which_nobody_measures_is_refused(project: Database, operation: str) -> None:
    name = f"{ADA.sub}/{_NEW}/a.txt"
    assert await add(project, ADA, name, operation=operation) == "42501"


@pytest.mark.parametrize(
    "operation",
    [
        "",
        "storage.object.upload",
        "storage.object.upload_update",
        "storage.object.sign_upload_url",
        "storage.tus.upload.create",
        "storage.s3.upload",
    ],
)
async def test_every_way_to_upload_is_open(project: Database, operation: str) -> None:
    name = f"{ADA.sub}/{_NEW}/copy"
    assert await add(project, ADA, name, operation=operation) == "1"


@pytest.mark.parametrize(
    "who",
    [user(ADA.sub, iss="https://clerk.example.org"), ADA, user(ADA.sub, iss=ISSUER, sts="pending")],
    ids=["another issuer", "none", "pending"],
)
async def test_only_tokens_that_count_reach_a_folder(opened: Database, who: Identity) -> None:
    name = f"{ADA.sub}/{UUID}/a.txt"
    opened.execute(f"update engine.settings set token_issuer = '{ISSUER}'")
    try:
        for command in ("select", "delete"):
            sql, count = _STATEMENTS[command]
            values = ("attachments", name, ADA.sub)[:count]
            assert await attempt(opened, who, sql, *values) == "0"
            assert await attempt(opened, user(ADA.sub, iss=ISSUER), sql, *values) == "1"
        assert await add(opened, who, f"{ADA.sub}/{_NEW}/a.txt") == "42501"
    finally:
        opened.execute("update engine.settings set token_issuer = null")


async def test_a_token_with_an_id_and_the_role_of_visitors_opens_nothing(opened: Database) -> None:
    who = Identity("anon", {"sub": ADA.sub, "role": "anon"})
    everything = "select from storage.objects where bucket_id = 'attachments'"

    assert await attempt(opened, who, everything) == "0"
    assert await add(opened, who, f"{ADA.sub}/{_NEW}/a.txt") == "42501"
