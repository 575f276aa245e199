"""A project's database with the people who use it: builders, and views of its rows."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.support.browser import Browser
from tests.support.cluster import Database
from tests.support.connections import Line
from tests.support.identities import ADA, BOB, Identity
from tests.support.worker import Claim, Worker

SEED = Path(__file__).parents[2] / "supabase" / "seed.sql"
DEMO_ASSISTANT = UUID("00000000-0000-4000-8000-000000000001")
LIMITS = (
    "user_messages_per_minute",
    "user_messages_per_day",
    "user_open_runs",
    "user_sessions_per_day",
    "user_assistants_per_day",
    "org_messages_per_minute",
    "org_messages_per_day",
    "org_open_runs",
)
"""Counted in every test, and out of reach unless it lowers them."""


class Chat:
    """Two users, a worker and a superuser who sees everything."""

    def __init__(self, database: Database, stack: AsyncExitStack, admin: Any) -> None:
        self.database = database
        self.admin = admin
        self._stack = stack
        self.ada = self.browser(ADA)
        self.bob = self.browser(BOB)
        self.worker = self.new_worker("worker_1")

    def line(self, login: str = "supabase_admin", **settings: str) -> Line:
        """Return one more connection."""
        return Line(self._stack, self.database.url(login), **settings)

    def browser(self, who: Identity) -> Browser:
        """Return this identity on a connection of its own."""
        return Browser(self.line("authenticator"), who)

    def new_worker(self, name: str) -> Worker:
        """Return one more worker; it has the rights of the service and no others."""
        # As a setting: a role that may log in belongs to all databases of the server.
        return Worker(self.line(role="assistants_engine"), name)

    async def configure(self, **settings: Any) -> None:
        """The operator has chosen these values of engine.settings."""
        for name, value in settings.items():
            await self.admin.execute(f"update engine.settings set {name} = $1", value)

    async def let_time_pass(self, seconds: float) -> None:
        """The buckets of all users and organisations have been running empty for so long."""
        buckets = ("minute", "day", "sessions", "assistants")
        earlier = (f"{it}_clear_at = {it}_clear_at - make_interval(secs => $1)" for it in buckets)
        await self.admin.execute(f"update engine.admissions set {', '.join(earlier)}", seconds)

    async def claimed(self, content: Any = "Hello", **session: Any) -> Claim:
        """Return the claim of a run that answers a message in a new session of Ada's."""
        await self.ada.say(await self.ada.start_session(**session), content)
        return await self.worker.claim_one()

    async def session(self, session: UUID | str) -> Any:
        """Return the session's row, or None."""
        return await self.admin.fetchrow("select * from chat_sessions where id = $1", session)

    async def message(self, message: UUID | str) -> Any:
        """Return the message's row, or None."""
        return await self.admin.fetchrow("select * from messages where id = $1", message)

    async def messages(self, session: UUID | str) -> list[Any]:
        """Return the session's messages in the order of their positions."""
        sql = "select * from messages where session_id = $1 order by position"
        return list(await self.admin.fetch(sql, session))

    async def run(self, run: UUID | str) -> Any:
        """Return the run's row, or None."""
        return await self.admin.fetchrow("select * from engine.runs where id = $1", run)

    async def runs(self, session: UUID | str) -> list[Any]:
        """Return the session's runs in the order in which they were asked for."""
        sql = "select * from engine.runs where session_id = $1 order by queued_no"
        return list(await self.admin.fetch(sql, session))

    async def run_of(self, message: UUID | str) -> Any:
        """Return the newest run that answers the message."""
        sql = "select * from engine.runs where message_id = $1 order by queued_no desc limit 1"
        return await self.admin.fetchrow(sql, message)

    async def outcome(self, run: UUID | str) -> Any:
        """Return the outcome row of a run, or None."""
        sql = "select * from messages where run_id = $1 and ordinal is null"
        return await self.admin.fetchrow(sql, run)

    async def statuses(self, session: UUID | str) -> list[str]:
        """Return the states of the session's runs, in order."""
        return [run["status"] for run in await self.runs(session)]

    async def path(self, session: UUID | str) -> list[str]:
        """Return what was said from the first message to the head."""
        rows = await self.admin.fetch(
            "with recursive path as ("
            " select m.*, 1 as depth from messages m"
            " join chat_sessions s on s.head_id = m.id where s.id = $1"
            " union all select m.*, p.depth + 1 from path p join messages m on m.id = p.parent_id"
            " where p.depth < 1000)"
            " select engine.content_text(content) as said from path order by depth desc",
            session,
        )
        return [row["said"] for row in rows]

    async def events(self, run: UUID | str) -> list[tuple[int, str]]:
        """Return the numbers and types of a run's events."""
        sql = "select seq, type from engine.events where run_id = $1 order by seq"
        return [(row["seq"], row["type"]) for row in await self.admin.fetch(sql, run)]

    async def let_leases_expire(self) -> None:
        """Every lease ran out a second ago, as if its worker had died."""
        await self.admin.execute(
            "update engine.runs set lease_until = clock_timestamp() - interval '1 s'"
            " where lease_until is not null"
        )

    async def let_waits_expire(self) -> None:
        """Every parked run has waited too long."""
        await self.admin.execute(
            "update engine.runs set expires_at = clock_timestamp() - interval '1 s'"
            " where status = 'requires_action'"
        )

    async def let_backoff_pass(self) -> None:
        """Every run that waits for its next try may be claimed now."""
        await self.admin.execute("update engine.runs set run_after = clock_timestamp()")


async def open_chat(database: Database, stack: AsyncExitStack) -> Chat:
    """Return a seeded project."""
    admin = await Line(stack, database.url("supabase_admin")).open()
    # Connections from now on find a deadlock at once.
    await admin.execute(f"alter database {database.name} set deadlock_timeout = '20ms'")
    await admin.execute(SEED.read_text(encoding="utf-8"))
    await admin.execute(
        f"update engine.settings set {', '.join(f'{it} = 1000000' for it in LIMITS)}"
    )
    return Chat(database, stack, admin)
