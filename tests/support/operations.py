"""What a browser may try on each table, and the SQL into which the Data API turns it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.chat import DEMO_ASSISTANT


@dataclass(frozen=True)
class Operation:
    """One request; a value `{name}` stands for a thing of somebody's."""

    verb: str
    """`select`, `count`, `embed`, `insert`, `update`, `delete`, `merge`, `ignore`, `call`, `truncate`."""
    target: str
    """The table, or the function."""
    values: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    on: str = ""
    """What a conflict is about, or which columns of which table are embedded by which key."""

    @property
    def names_something(self) -> bool:
        """Return whether it speaks of a thing, which may be missing."""
        return any(_is_thing(value) for value in [*self.values.values(), *self.where.values()])

    @property
    def only_reads(self) -> bool:
        """Return whether it leaves everything as it is, whatever it is answered."""
        readers = {"search_messages", "read_stream", "read_shared_session"}
        return self.verb in {"select", "count", "embed"} or self.target in readers

    def about(self, things: Mapping[str, Any]) -> "Operation":
        """Return the same about these things."""
        values, where = (
            {name: things[value[1:-1]] if _is_thing(value) else value for name, value in it.items()}
            for it in (self.values, self.where)
        )
        return Operation(self.verb, self.target, values, where, self.on)

    def sql(self) -> tuple[str, list[Any]]:
        """Return the statement whose status tells a number of rows, and its parameters."""
        return getattr(self, f"_{self.verb}")(), [*self.values.values(), *self.where.values()]

    def _select(self) -> str:
        return f"select from public.{self.target} as it{self._filter()}"

    def _count(self) -> str:
        counted = f"select count(*) as n from public.{self.target} as it{self._filter()}"
        return f"select from ({counted}) as counted, generate_series(1, n)"

    def _embed(self) -> str:
        table, own, theirs = self.on.split()
        joined = f"(select 1 from public.{table} as e where e.{theirs} = it.{own}) as embedded"
        return f"select from public.{self.target} as it, lateral {joined}{self._filter()}"

    def _insert(self) -> str:
        numbers = ", ".join(f"${number}" for number, _ in enumerate(self.values, 1))
        return f"insert into public.{self.target} ({', '.join(self.values)}) values ({numbers})"

    def _merge(self) -> str:
        changes = ", ".join(f"{name} = excluded.{name}" for name in self.values)
        return f"{self._insert()} on conflict ({self.on}) do update set {changes}"

    def _ignore(self) -> str:
        return f"{self._insert()} on conflict ({self.on}) do nothing"

    def _update(self) -> str:
        changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(self.values, 1))
        return f"update public.{self.target} as it set {changes}{self._filter()}"

    def _delete(self) -> str:
        return f"delete from public.{self.target} as it{self._filter()}"

    def _truncate(self) -> str:
        return f"truncate public.{self.target}"

    def _call(self) -> str:
        given = ", ".join(f"{name} => ${number}" for number, name in enumerate(self.values, 1))
        return f"select from public.{self.target}({given}) as it where it::text is not null"

    def _filter(self) -> str:
        numbered = enumerate(self.where, 1 + len(self.values))
        found = " and ".join(f"it.{name} = ${number}" for number, name in numbered)
        return f" where {found}" if found else ""


def operation(table: str, command: str) -> Operation:
    """Return what the tables of tests/db/matrix call so."""
    return _OWN.get((table, command)) or _of_any(table, command)


def _is_thing(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{")


# Which rows are meant, what is changed in them, and what a new one says.
_ROWS: dict[str, dict[str, Any]] = {
    "chat_sessions": {"id": "{session}"},
    "messages": {"session_id": "{session}"},
    "runs": {"session_id": "{session}"},
    "assistants": {"id": "{private}"},
    "shared_assistants": {"id": "{shared}"},
    "session_shares": {"id": "{share}"},
    "usage_by_day": {"user_id": "{owner}"},
}
_CHANGE: dict[str, dict[str, Any]] = {
    "chat_sessions": {"title": "changed"},
    "messages": {"metadata": {"changed": True}},
    "runs": {"model": "changed"},
    "assistants": {"description": "changed"},
    "shared_assistants": {"name": "changed"},
    "session_shares": {"expires_at": None},
    "usage_by_day": {"calls": 0},
}
_NEW: dict[str, dict[str, Any]] = {
    "chat_sessions": {"title": "new"},
    "messages": {"session_id": "{session}", "content": "new"},
    "runs": {"session_id": "{session}", "model": "offline:demo"},
    "assistants": {"name": "new"},
    "shared_assistants": {"name": "new"},
    "session_shares": {"session_id": "{session}"},
    "usage_by_day": {"model": "offline:demo"},
}
_ID = "00000000-0000-4000-8000-0000000000ff"


def _of_any(table: str, command: str) -> Operation:
    rows, change, new = _ROWS[table], _CHANGE[table], _NEW[table]
    return {
        "select": Operation("select", table, where=rows),
        "count": Operation("count", table, where=rows),
        "insert": Operation("insert", table, new),
        "update": Operation("update", table, change, rows),
        "delete": Operation("delete", table, where=rows),
        "upsert": Operation("merge", table, {"id": _ID, **new}, on="id"),
        # Without a filter: the policy of the command stands alone, no column is read.
        "overwrite": Operation("update", table, change),
        "wipe": Operation("delete", table),
        "truncate": Operation("truncate", table),
    }[command]


def _rows(table: str, verb: str = "select", on: str = "", **where: Any) -> Operation:
    return Operation(verb, table, where=where, on=on)


def _call(function: str, **values: Any) -> Operation:
    return Operation("call", function, values)


def _new(table: str, **values: Any) -> Operation:
    return Operation("insert", table, {**_NEW[table], **values})


def _change(table: str, row: str, **values: Any) -> Operation:
    return Operation("update", table, values, {"id": row})


_RETRIED = {**_NEW["messages"], "client_id": "c1"}
_OWN = {
    ("chat_sessions", "by_head"): _rows("chat_sessions", head_id="{head}"),
    ("chat_sessions", "by_agent"): _rows(
        "chat_sessions", assistant_id=str(DEMO_ASSISTANT), id="{session}"
    ),
    ("chat_sessions", "by_owner"): _rows("chat_sessions", user_id="{owner}"),
    ("chat_sessions", "embed"): _rows(
        "chat_sessions", "embed", "messages id session_id", id="{session}"
    ),
    ("chat_sessions", "embed_runs"): _rows(
        "chat_sessions", "embed", "runs id session_id", id="{session}"
    ),
    ("chat_sessions", "insert_as"): _new("chat_sessions", user_id="{owner}"),
    ("chat_sessions", "insert_for"): _new("chat_sessions", org_id="org_1"),
    ("chat_sessions", "insert_with"): _new("chat_sessions", assistant_id="{private}"),
    ("chat_sessions", "ignore"): Operation(
        "ignore", "chat_sessions", {"id": "{session}", "title": "new"}, on="id"
    ),
    ("chat_sessions", "archive"): _change("chat_sessions", "{session}", status="archived"),
    ("chat_sessions", "reactivate"): _change("chat_sessions", "{archived}", status="active"),
    ("chat_sessions", "rename_old"): _change("chat_sessions", "{archived}", title="changed"),
    ("chat_sessions", "use_theirs"): _change(
        "chat_sessions", "{session}", assistant_id="{members_private}"
    ),
    ("chat_sessions", "give_away"): _change("chat_sessions", "{session}", user_id="user_2bob"),
    ("messages", "by_id"): _rows("messages", id="{message}"),
    ("messages", "by_parent"): _rows("messages", parent_id="{message}"),
    ("messages", "by_run"): _rows("messages", run_id="{run}"),
    ("messages", "by_client"): _rows("messages", client_id="c1", session_id="{session}"),
    ("messages", "embed"): _rows(
        "messages", "embed", "chat_sessions session_id id", session_id="{session}"
    ),
    ("messages", "search"): _call("search_messages", p_query="dragon", p_session="{session}"),
    ("messages", "insert_as"): _new("messages", role="assistant"),
    ("messages", "insert_old"): _new("messages", session_id="{archived}"),
    ("messages", "follow"): _new("messages", parent_id="{message}"),
    ("messages", "retry"): Operation("ignore", "messages", _RETRIED, on="session_id, client_id"),
    ("messages", "merge"): Operation("merge", "messages", _RETRIED, on="session_id, client_id"),
    ("messages", "edit"): _change("messages", "{message}", content="changed"),
    ("messages", "edit_theirs"): _change("messages", "{members_message}", content="changed"),
    ("messages", "rewrite"): _change("messages", "{reply}", content="changed"),
    ("messages", "delete_one"): _rows("messages", "delete", id="{message}"),
    ("messages", "delete_reply"): _rows("messages", "delete", id="{reply}"),
    ("runs", "by_message"): _rows("runs", message_id="{message}"),
    ("runs", "cancel"): _call("cancel_run", p_run="{parked}"),
    ("runs", "regenerate"): _call("regenerate", p_message="{message}"),
    ("runs", "submit"): _call(
        "submit_tool_outputs", p_run="{parked}", p_outputs=[{"call_id": "a", "output": "1"}]
    ),
    ("runs", "stream"): _call("read_stream", p_session_id="{session}"),
    ("assistants", "by_owner"): _rows("assistants", user_id="{owner}"),
    ("assistants", "insert_as"): _new("assistants", user_id="{owner}"),
    ("assistants", "insert_org"): _new("assistants", visibility="organisation"),
    ("assistants", "publish"): _change("assistants", "{private}", visibility="everyone"),
    ("assistants", "select_org"): _rows("assistants", id="{shared}"),
    ("assistants", "update_org"): _change("assistants", "{shared}", description="changed"),
    ("assistants", "delete_org"): _rows("assistants", "delete", id="{shared}"),
    ("shared_assistants", "private"): _rows("shared_assistants", id="{private}"),
    ("usage_by_day", "all"): _rows("usage_by_day"),
    ("usage_by_day", "by_agent"): _rows("usage_by_day", assistant_id="{private}"),
    ("session_shares", "by_session"): _rows("session_shares", session_id="{session}"),
    ("session_shares", "embed"): _rows(
        "chat_sessions", "embed", "session_shares id session_id", id="{session}"
    ),
    ("session_shares", "delete_2nd"): _rows("session_shares", "delete", id="{second_share}"),
    ("session_shares", "share"): _call("share_session", p_session="{session}"),
    ("session_shares", "read"): _call("read_shared_session", p_token="{token}"),
    ("session_shares", "read_id"): _call("read_shared_session", p_token="{share}"),
}
