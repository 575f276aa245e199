"""Who may do what with public.own_rows, the denied cases first.

Needs pytest, asyncpg and ADMIN_DATABASE_URL: the owner's login to a local or a test database that has
the migration. Each test is a transaction that is rolled back.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

TABLE = "public.own_rows"
OWNER = "owner_id"
NEW = {"content": "Hello"}
"""What a browser may write into a new row; add your columns."""
CHANGED = {"content": "Changed"}
"""What it may change; add your columns."""

ADA, BOB = "user_2ada", "user_2bob"
URL = os.environ.get("ADMIN_DATABASE_URL", "")
if not URL:
    pytest.exit("Set ADMIN_DATABASE_URL: the owner's login to a database with the migration.", 4)
Step = Callable[["Scene"], Awaitable[None]]


class Scene:
    """A row of Ada's, and a connection that speaks for whoever is asked."""

    def __init__(self, connection: Any, issuer: str | None) -> None:
        self.connection = connection
        self.issuer = issuer
        self.row: Any = None

    async def become(self, role: str, **claims: Any) -> None:
        """What follows is done in this role, with these claims."""
        if self.issuer:
            claims = {"iss": self.issuer, **claims}
        await self.connection.execute(f"set local role {role}")
        await self.connection.execute(
            "select set_config('request.jwt.claims', $1, true)",
            json.dumps({"role": role, **claims}) if role != "anon" else "",
        )

    async def insert(self, **columns: Any) -> Any:
        """Return the row that was written."""
        names = ", ".join(columns)
        numbers = ", ".join(f"${number}" for number, _ in enumerate(columns, 1))
        return await self.connection.fetchrow(
            f"insert into {TABLE} ({names}) values ({numbers}) returning *", *columns.values()
        )

    async def update(self, **columns: Any) -> int:
        """Return how many rows were changed."""
        changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 1))
        done = await self.connection.execute(f"update {TABLE} set {changes}", *columns.values())
        return int(done.split()[-1])

    async def rows(self) -> list[Any]:
        """Return what can be seen."""
        return list(await self.connection.fetch(f"select * from {TABLE}"))

    async def refused(self, sql: str, *values: Any) -> None:
        """The statement is refused, whatever it would have done."""
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with self.connection.transaction():
                await self.connection.execute(sql, *values)


def play(step: Step) -> None:
    """Run the step in a transaction that is rolled back, with an empty table and a row of Ada's."""

    async def run() -> None:
        connection = await asyncpg.connect(URL)
        try:
            issuer = await connection.fetchval("select token_issuer from engine.settings")
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(f"delete from {TABLE}")
            scene = Scene(connection, issuer)
            await scene.become("authenticated", sub=ADA)
            scene.row = await scene.insert(**NEW)
            await step(scene)
            await transaction.rollback()
        finally:
            await connection.close()

    asyncio.run(run())


STATEMENTS = {
    "select": f"select from {TABLE}",
    "insert": f"insert into {TABLE} default values",
    "update": f"update {TABLE} set {next(iter(CHANGED))} = default",
    "delete": f"delete from {TABLE}",
    "truncate": f"truncate {TABLE}",
}


@pytest.mark.parametrize("command", STATEMENTS)
def test_a_visitor_is_refused(command: str) -> None:
    async def step(scene: Scene) -> None:
        await scene.become("anon")
        await scene.refused(STATEMENTS[command])

    play(step)


def test_another_user_sees_changes_and_deletes_nothing() -> None:
    async def step(scene: Scene) -> None:
        await scene.become("authenticated", sub=BOB)
        assert await scene.rows() == []
        assert await scene.update(**CHANGED) == 0
        assert await scene.connection.execute(f"delete from {TABLE}") == "DELETE 0"
        await scene.become("authenticated", sub=ADA)
        assert await scene.rows() == [scene.row]

    play(step)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": None},
        {"sub": ""},
        {"sub": ADA.upper()},
        {"sub": f"{ADA}' or true --"},
        {"sub": ADA, "sts": "pending"},
    ],
    ids=["no sub", "null", "empty", "another case", "SQL", "pending"],
)
def test_a_token_that_does_not_count_opens_nothing(claims: dict[str, Any]) -> None:
    async def step(scene: Scene) -> None:
        await scene.become("authenticated", **claims)
        assert await scene.rows() == []
        assert await scene.update(**CHANGED) == 0
        assert await scene.connection.execute(f"delete from {TABLE}") == "DELETE 0"

    play(step)


@pytest.mark.parametrize("claims", [{}, {"sub": ADA, "sts": "pending"}], ids=["no sub", "pending"])
def test_a_token_that_does_not_count_writes_nothing(claims: dict[str, Any]) -> None:
    async def step(scene: Scene) -> None:
        await scene.become("authenticated", **claims)
        with pytest.raises(asyncpg.PostgresError):
            await scene.insert(**NEW)

    play(step)


def test_a_token_of_another_issuer_opens_nothing() -> None:
    async def step(scene: Scene) -> None:
        if not scene.issuer:
            pytest.skip("no issuer is pinned: assistants migrate --pin-issuer")
        await scene.become("authenticated", sub=ADA, iss="https://elsewhere.example.com")
        assert await scene.rows() == []

    play(step)


@pytest.mark.parametrize("column", [OWNER, "id", "created_at"])
def test_a_browser_does_not_choose_what_the_database_decides(column: str) -> None:
    async def step(scene: Scene) -> None:
        await scene.refused(f"insert into {TABLE} ({column}) values (default)")
        await scene.refused(f"update {TABLE} set {column} = {column}")

    play(step)


def test_a_row_cannot_be_given_away_by_whoever_may_write_its_owner() -> None:
    async def step(scene: Scene) -> None:
        await scene.connection.execute("reset role")
        await scene.connection.execute(
            f"grant insert ({OWNER}), update ({OWNER}) on {TABLE} to authenticated"
        )
        await scene.become("authenticated", sub=BOB)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with scene.connection.transaction():
                await scene.insert(**NEW, **{OWNER: ADA})
        await scene.become("authenticated", sub=ADA)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with scene.connection.transaction():
                await scene.update(**{OWNER: BOB})

    play(step)


def test_rows_are_not_truncated_by_users() -> None:
    async def step(scene: Scene) -> None:
        await scene.refused(STATEMENTS["truncate"])

    play(step)


def test_the_owner_reads_changes_and_deletes_the_row() -> None:
    async def step(scene: Scene) -> None:
        assert scene.row[OWNER] == ADA
        assert await scene.rows() == [scene.row]
        assert await scene.update(**CHANGED) == 1
        assert await scene.connection.execute(f"delete from {TABLE}") == "DELETE 1"

    play(step)


def test_the_secret_key_sees_every_row() -> None:
    async def step(scene: Scene) -> None:
        await scene.become("service_role")
        assert await scene.rows() == [scene.row]

    play(step)


CATALOGUE = {
    "row security is on": f"select relrowsecurity from pg_class where oid = '{TABLE}'::regclass",
    "policies name their role": "select bool_and(polroles = array['authenticated'::regrole::oid])"
    f" from pg_policy where polrelid = '{TABLE}'::regclass",
    "tokens are asked once a statement": "select bool_and(coalesce(pg_get_expr(polqual, polrelid), '')"
    " || coalesce(pg_get_expr(polwithcheck, polrelid), '') like '%( SELECT %')"
    f" from pg_policy where polrelid = '{TABLE}'::regclass",
    "an index leads with the owner": "select exists (select from pg_index i join pg_attribute a"
    f" on a.attrelid = i.indrelid and a.attnum = i.indkey[0] where i.indrelid = '{TABLE}'::regclass"
    f" and a.attname = '{OWNER}')",
    "visitors have no right": f"select not has_any_column_privilege('anon', '{TABLE}', 'select')",
}


@pytest.mark.parametrize("rule", CATALOGUE)
def test_of_the_catalogue(rule: str) -> None:
    async def step(scene: Scene) -> None:
        assert await scene.connection.fetchval(CATALOGUE[rule])

    play(step)
