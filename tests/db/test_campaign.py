"""Random operations on a few sessions: what must hold, holds after each of them."""

from typing import Any
from uuid import UUID

import asyncpg
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.driving import Run, driven, examples
from tests.support.identities import SERVICE
from tests.support.worker import Claim, call, delta, text

_PICK = st.integers(0, 1_000_000)
_LIVE = "('ready', 'running', 'requires_action', 'cancelling')"
# What the owner may be told for good reasons: conflict, wrong parent, not there any more.
_REFUSALS = {"PT409", "23503", "42501"}

# Each returns one row for each thing that is wrong.
_WRONG = {
    "two live runs in a session": f"select session_id from engine.runs where status in {_LIVE}"
    " group by session_id having count(*) > 1",
    "a run waits although the slot is free": "select id from engine.runs w where status = 'waiting'"
    f" and not exists (select from engine.runs l where l.session_id = w.session_id"
    f" and l.status in {_LIVE})",
    "an open run has an outcome": "select r.id from engine.runs r join messages m on m.run_id = r.id"
    " where r.ended_at is null and m.ordinal is null",
    "an ended run has no outcome": "select id from engine.runs r where ended_at is not null"
    " and id <> all($1) and not exists (select from messages m where m.run_id = r.id"
    " and m.ordinal is null)",
    "a head is no message of its session": "select s.id from chat_sessions s where head_id is not null"
    " and not exists (select from messages m where m.session_id = s.id and m.id = s.head_id)",
    "a run answers what is not there": "select r.id from engine.runs r where message_id is not null"
    " and not exists (select from messages m where m.session_id = r.session_id"
    " and m.id = r.message_id)",
    "time runs against position": "select id from (select id, created_at, lag(created_at) over"
    " (partition by session_id order by position) as before from messages) m"
    " where before > created_at",
    "a gap in the events": "select run_id from engine.events group by run_id"
    " having max(seq) <> count(*)",
    "an ended run streams no end": "select id from engine.runs r where ended_at is not null"
    " and 'run.' || status is distinct from (select e.type from engine.events e"
    " where e.run_id = r.id order by seq desc limit 1)",
    "an answered message without a place": "select m.id from messages m join engine.runs r"
    " on r.message_id = m.id join chat_sessions s on s.id = m.session_id"
    " where r.status = 'running' and s.head_id is null",
}


class Campaign(RuleBasedStateMachine):
    """Ada, the service and a worker that is sometimes a zombie, on two sessions."""

    def __init__(self, chat: Chat, run: Run) -> None:
        super().__init__()
        self.chat = chat
        self.do = run
        self.service = chat.browser(SERVICE)
        self.do(chat.admin.execute("delete from chat_sessions"))
        self.sessions = [
            self.do(chat.ada.start_session(while_running=mode)) for mode in ("wait", "supersede")
        ]
        self.claims: list[Claim] = []
        self.without_outcome: set[UUID] = set()

    def attempt(self, action: Any) -> Any:
        """Return what came of it, or None where it was refused for a good reason."""
        try:
            return self.do(action)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in _REFUSALS:
                raise
            return None

    def session(self, pick: int) -> Any:
        return self.sessions[pick % len(self.sessions)]

    def one_of(self, table: str, pick: int, where: str = "true") -> Any:
        rows = self.do(self.chat.admin.fetch(f"select * from {table} where {where} order by 1"))
        return rows[pick % len(rows)] if rows else None

    @rule(pick=_PICK)
    def say(self, pick: int) -> None:
        self.do(self.chat.ada.say(self.session(pick), f"say {pick}"))

    @rule(pick=_PICK, number=st.integers(2, 4))
    def say_at_once(self, pick: int, number: int) -> None:
        self.do(self.chat.ada.say_all(self.session(pick), *map(str, range(number))))

    @rule(pick=_PICK)
    def branch(self, pick: int) -> None:
        if parent := self.one_of("messages", pick):
            self.attempt(self.chat.ada.say(parent["session_id"], "branch", parent_id=parent["id"]))

    @rule(pick=_PICK)
    def bring_in(self, pick: int) -> None:
        self.do(self.service.say(self.session(pick), "imported", starts_run=False))

    @rule()
    def claim(self) -> None:
        self.claims += self.do(self.chat.worker.claim())

    @rule(pick=_PICK, status=st.sampled_from(["completed", "incomplete", "failed", "expired"]))
    def finish(self, pick: int, status: str) -> None:
        if self.claims:
            claim = self.claims[pick % len(self.claims)]
            self.do(self.chat.worker.finish(claim, f"reply {pick}", status=status))

    @rule(pick=_PICK)
    def fail(self, pick: int) -> None:
        if self.claims:
            self.do(self.chat.worker.fail(self.claims[pick % len(self.claims)]))
            self.do(self.chat.let_backoff_pass())

    @rule(pick=_PICK)
    def release(self, pick: int) -> None:
        if self.claims:
            self.do(self.chat.worker.release(self.claims[pick % len(self.claims)]))

    @rule(pick=_PICK)
    def stream(self, pick: int) -> None:
        if self.claims:
            claim = self.claims[pick % len(self.claims)]
            self.do(self._stream(claim))

    @rule(pick=_PICK, said=st.booleans())
    def checkpoint(self, pick: int, *, said: bool) -> None:
        if self.claims:
            self.do(self._checkpoint(self.claims[pick % len(self.claims)], said=said))

    @rule(pick=_PICK)
    def park(self, pick: int) -> None:
        if self.claims:
            claim = self.claims[pick % len(self.claims)]
            held = claim["run_id"], self.chat.worker.name, claim["fence"]
            steps = [call(100 + claim["fence"], f"c{claim['fence']}")]
            self.do(self.chat.worker.call("park_run", *held, steps, []))

    @rule(pick=_PICK)
    def submit(self, pick: int) -> None:
        if run := self.one_of("engine.runs", pick, "status = 'requires_action'"):
            calls = run["required_action"]["tool_calls"]
            outputs = [{"call_id": asked["call_id"], "output": 7} for asked in calls]
            self.do(self.chat.ada.submit(run["id"], outputs))

    @rule(pick=_PICK)
    def cancel(self, pick: int) -> None:
        if run := self.one_of("engine.runs", pick):
            self.do(self.chat.ada.cancel(run["id"]))

    @rule(pick=_PICK, number=st.integers(1, 4))
    def delete(self, pick: int, number: int) -> None:
        session = self.session(pick)
        rows = self.do(self.chat.messages(session))
        doomed = [row for at, row in enumerate(rows) if (at + pick) % 5 < number]
        self.without_outcome |= {row["run_id"] for row in doomed if row["run_id"]}
        self.do(self.chat.ada.delete("messages", *(row["id"] for row in doomed)))

    @rule(pick=_PICK)
    def regenerate(self, pick: int) -> None:
        if message := self.one_of("messages", pick):
            self.attempt(self.chat.ada.regenerate(message["id"]))

    @rule(leases=st.booleans(), waits=st.booleans())
    def reap(self, *, leases: bool, waits: bool) -> None:
        if leases:
            self.do(self.chat.let_leases_expire())
        if waits:
            self.do(self.chat.let_waits_expire())
        assert self.do(self.chat.worker.reap())["postponed"] == 0
        self.do(self.chat.let_backoff_pass())

    @invariant()
    def nothing_is_wrong(self) -> None:
        for what, query in _WRONG.items():
            known = ([*self.without_outcome],)
            assert self.do(self.chat.admin.fetch(query, *known[: "$1" in query])) == [], what

    @invariant()
    def every_path_ends_at_a_first_message(self) -> None:
        rows = self.do(self.chat.admin.fetch("select id, parent_id from messages"))
        parents = {row["id"]: row["parent_id"] for row in rows}
        for start in parents:
            seen, at = set(), start
            while at is not None:
                assert at not in seen
                seen.add(at)
                at = parents[at]

    def teardown(self) -> None:
        """Whatever was done, every session comes to rest."""
        for _ in range(200):
            self.do(self.chat.let_leases_expire())
            self.do(self.chat.let_waits_expire())
            self.do(self.chat.worker.reap())
            self.do(self.chat.let_backoff_pass())
            for claim in self.do(self.chat.worker.claim(limit=100)):
                self.do(self.chat.worker.finish(claim))
            if not self.one_of("engine.runs", 0, "ended_at is null"):
                break
        assert self.one_of("engine.runs", 0, "ended_at is null") is None
        self.nothing_is_wrong()

    async def _stream(self, claim: Claim) -> None:
        events = await self.chat.events(claim["run_id"])
        message = UUID(int=claim["fence"] + UUID(claim["run_id"]).int % 2**100)
        await self.chat.worker.flush(claim, delta(len(events) + 1, message, "x"))

    async def _checkpoint(self, claim: Claim, *, said: bool) -> None:
        sql = "select coalesce(max(ordinal) + 1, 0) from messages where run_id = $1::text::uuid"
        ordinal = await self.chat.admin.fetchval(sql, claim["run_id"])
        message = str(UUID(int=UUID(claim["run_id"]).int ^ (ordinal + 1)))
        step = call(len(await self.chat.events(claim["run_id"])), "done", output=1)
        words = {"message_id": message, "ordinal": ordinal, "content": text("said")}
        await self.chat.worker.checkpoint(claim, [step], said=words if said else None)


def test_whatever_happens_in_whatever_order_the_rows_stay_right(database: Database) -> None:
    with driven(database) as (chat, run):
        run(chat.configure(max_failures=3, backoff_s=0))
        # typeshed-like stubs ask for a class; any factory will do.
        machine: Any = lambda: Campaign(chat, run)  # noqa: E731
        run_state_machine_as_test(
            machine,
            settings=examples(25, stateful_step_count=30, suppress_health_check=list(HealthCheck)),
        )
