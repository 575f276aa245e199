"""A throwaway project on a database server of its own, with durable commits."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from backend.devkit.postgres import Cluster
from backend.integrations.supabase import bundle, migrations
from backend.integrations.supabase.service_role import create_service_role

SCRIPT = json.dumps('offline: {"deltas": 20}')
"""Twenty words as fast as they can be said."""
_SETTINGS = {"max_connections": "200", "shared_buffers": "256MB"}


class Project:
    """Its server, the service's login and a connection that may do everything."""

    def __init__(self, cluster: Cluster, service_url: str, admin: Any) -> None:
        self.cluster = cluster
        self.admin = admin
        self.environment = {"DATABASE_URL": service_url}
        """By which workers and services find it."""

    @property
    def admin_url(self) -> str:
        """Return the superuser's login."""
        return self.cluster.url("supabase_admin")

    async def connect(self) -> Any:
        """Return one more connection that may do everything; it ends with the server."""
        connection = await asyncpg.connect(self.admin_url)
        for name in ("json", "jsonb"):
            await connection.set_type_codec(
                name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
        return connection

    async def sessions(self, count: int) -> list[Any]:
        """Return the ids of so many new sessions."""
        rows = await self.admin.fetch(
            "insert into public.chat_sessions (user_id, title)"
            " select 'user_bench', 'Bench' from generate_series(1, $1::int) returning id",
            count,
        )
        return [row["id"] for row in rows]

    async def ask(self, sessions: list[Any], content: str = SCRIPT) -> None:
        """One message is in each of the sessions."""
        await self.admin.execute(
            "insert into public.messages (session_id, content)"
            " select s, $2::jsonb from unnest($1::uuid[]) as s",
            sessions,
            content,
        )

    async def until_idle(self) -> None:
        """No run is open."""
        sql = "select count(*) from engine.runs where ended_at is null"
        while await self.admin.fetchval(sql):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)

    async def clear(self) -> None:
        """No session is left, and the tables are as after a vacuum."""
        await self.admin.execute("truncate public.chat_sessions cascade")
        await self.admin.execute("vacuum analyze")

    def cpu_s(self) -> float:
        """Return the CPU time of the server's processes, those that ended included."""
        server = self.cluster.process
        if server is None:
            return 0.0
        main = psutil.Process(server.pid)
        ended = main.cpu_times()
        own: float = ended.user + ended.system + ended.children_user + ended.children_system
        return own + sum(_cpu_s(child) for child in main.children(recursive=True))


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="supa-bench-"))
    # Root's server runs as another account, which has to get in.
    folder.chmod(0o711)
    return folder


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


@asynccontextmanager
async def open_project() -> AsyncIterator[Project]:
    """Yield a migrated and seeded project; nothing of it is left afterwards."""
    folder = _folder()
    cluster = Cluster(folder / "postgres", settings=_SETTINGS, ends_with_parent=True)
    try:
        cluster.start()
        prelude = bundle.folder() / "local" / "prelude.sql"
        cluster.execute(prelude.read_text(encoding="utf-8"))
        cluster.set_passwords("postgres")
        await migrations.apply(cluster.url("postgres"))
        await migrations.seed(cluster.url("postgres"))
        service_url = await create_service_role(cluster.url("postgres"))
        admin = await asyncpg.connect(cluster.url("supabase_admin"))
        yield Project(cluster, service_url, admin)
        await admin.close()
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
