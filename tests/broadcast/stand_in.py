"""What Realtime does, on a port of its own: joins by the real policies, and faults on demand.

It speaks to realtime-js as the server does (Phoenix, version 2.0.0 of the serializer), takes
broadcasts by HTTP, and passes on what `realtime.send` has written. Everything else is asked of the
Data API behind it, so that supabase-js sees one project.

Source:
    supabase/realtime 833cf36c: `realtime_channel.ex`, `batch_broadcast.ex`, `v2_serializer.ex`.
"""

import asyncio
import json
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.broadcast.permissions import may_follow
from tests.support.identities import Identity, user

Identify: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]
"""From a token to its claims; raises ValueError with what is wrong with it."""
Mint: TypeAlias = Callable[[str, int], str]
"""A token of this user for so many seconds."""
_PREFIX = "realtime:"
_REST = ("GET", "POST", "PATCH", "DELETE")


@dataclass
class Faults:
    """What befalls messages on their way to those who follow; shares of 1."""

    drop: float = 0.0
    double: float = 0.0
    late: float = 0.0
    """Behind the next one."""
    cut: float = 0.0
    """Together with every connection."""
    posts: list[int] = field(default_factory=list)
    """The next requests are answered by these statuses, and not passed on."""
    join: str = ""
    """Why nobody may join."""


class Member:
    """One channel of one connection."""

    def __init__(self, connection: WebSocket, topic: str, join_ref: str | None) -> None:
        self.connection = connection
        self.topic = topic
        self.join_ref = join_ref
        self.expires_at = 0.0

    async def push(self, event: str, payload: Any, ref: str | None = None) -> None:
        frame = [self.join_ref, ref, _PREFIX + self.topic, event, payload]
        await self.connection.send_text(json.dumps(frame))

    async def deliver(self, payload: Any) -> None:
        frame = [None, None, _PREFIX + self.topic, "broadcast", payload]
        await self.connection.send_text(json.dumps(frame))


class StandIn:
    """A project's Realtime."""

    def __init__(self, admin: Any, identify: Identify, mint: Mint, data_api: str) -> None:
        """Nobody follows anything yet.

        Args:
            admin: A superuser's connection, for the policies and what `realtime.send` wrote.
            identify: Verifies tokens.
            mint: Signs them.
            data_api: Where the tables are.
        """
        self.faults = Faults()
        self.posted: list[tuple[dict[str, str], list[Any]]] = []
        self.url = ""
        self._admin = admin
        self._lock = asyncio.Lock()
        self._identify = identify
        self._mint = mint
        self._data_api = data_api
        self._client = httpx.AsyncClient(timeout=30)
        self._members: list[Member] = []
        self._connections: set[WebSocket] = set()
        self._held: list[tuple[str, Any]] = []
        self._random = random.Random(0)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/realtime/v1/api/broadcast", self._broadcast, methods=["POST"]),
                WebSocketRoute("/realtime/v1/websocket", self._follow),
                Route("/rest/v1/{path:path}", self._pass_on, methods=list(_REST)),
                Route("/storage/v1/object/{path:path}", self._pass_on),
                Route("/faults", self._set_faults, methods=["POST"]),
                Route("/tokens/{user}/{for_s:int}", self._token),
            ]
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, topic: str, event: str, payload: Any) -> None:
        """Pass the message on, or lose, double, delay it."""
        message = (topic, {"type": "broadcast", "event": event, "payload": payload})
        faults, now = self.faults, [message, *self._held]
        self._held = []
        if self._random.random() < faults.cut:
            await self.cut()
        elif self._random.random() < faults.late:
            self._held = [now.pop(0)]
        elif self._random.random() < faults.drop:
            del now[0]
        elif self._random.random() < faults.double:
            now.insert(0, message)
        for told, wrapped in now:
            for member in [it for it in self._members if it.topic == told]:
                with suppress(RuntimeError, WebSocketDisconnect):
                    await member.deliver(wrapped)

    async def cut(self) -> None:
        """Every connection is lost."""
        for connection in list(self._connections):
            with suppress(RuntimeError):
                await connection.close(1011)
        self._members.clear()

    async def shut(self, message: str) -> None:
        """Every channel is closed by the server, as when there are too many messages."""
        for member in list(self._members):
            await self._shut(member, message)

    async def relay(self) -> None:
        """Pass on what transactions have written, for ever."""
        seen: set[Any] = set()
        while True:
            async with self._lock:
                rows = await self._admin.fetch(
                    "select id, topic, event, payload from realtime.messages"
                    " where extension = 'broadcast' and private order by inserted_at, ctid"
                )
            for row in rows:
                if row["id"] not in seen:
                    seen.add(row["id"])
                    await self.send(row["topic"], row["event"], row["payload"])
            await self._expire()
            await asyncio.sleep(0.02)

    async def _broadcast(self, request: Request) -> Response:
        body = await request.json()
        self.posted.append((dict(request.headers), body["messages"]))
        if self.faults.posts:
            return Response(status_code=self.faults.posts.pop(0))
        for message in body["messages"]:
            if message.get("private"):
                await self.send(message["topic"], message["event"], message["payload"])
        return Response(status_code=202)

    async def _follow(self, connection: WebSocket) -> None:
        await connection.accept()
        self._connections.add(connection)
        try:
            while True:
                join_ref, ref, topic, event, payload = json.loads(await connection.receive_text())
                await self._hear(
                    Member(connection, topic.removeprefix(_PREFIX), join_ref), ref, event, payload
                )
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._connections.discard(connection)
            self._members = [it for it in self._members if it.connection is not connection]

    async def _hear(self, member: Member, ref: str, event: str, payload: Any) -> None:
        match event:
            case "heartbeat":
                frame = [None, ref, "phoenix", "phx_reply", {"status": "ok", "response": {}}]
                await member.connection.send_text(json.dumps(frame))
            case "phx_join":
                await self._join(member, ref, payload)
            case "access_token":
                for it in self._of(member):
                    if problem := await self._admit(it, payload["access_token"]):
                        await self._shut(it, problem)
            case "phx_leave":
                for it in self._of(member):
                    self._members.remove(it)
                await member.push("phx_reply", {"status": "ok", "response": {}}, ref)
                await member.push("phx_close", {}, member.join_ref)
            case "broadcast" | "presence":
                pass  # nobody may: the policies say so
            case _:
                raise AssertionError(event)

    async def _join(self, member: Member, ref: str, payload: Any) -> None:
        problem = self.faults.join
        if not payload["config"]["private"]:
            problem = "PrivateOnly: This project only allows private channels"
        problem = problem or await self._admit(member, payload.get("access_token", ""))
        if problem:
            answer = {"status": "error", "response": {"reason": problem}}
        else:
            self._members.append(member)
            answer = {"status": "ok", "response": {"postgres_changes": []}}
        await member.push("phx_reply", answer, ref)

    async def _admit(self, member: Member, token: str) -> str:
        """Return why this token does not let its bearer follow the topic, or nothing."""
        try:
            claims = await self._identify(token)
        except ValueError as error:
            return f"InvalidJWTToken: {error}"
        who: Identity = user(**{**claims, "sub": claims.get("sub", "")})
        async with self._lock:
            if not await may_follow(self._admin, who, member.topic):
                return "Unauthorized: You do not have permissions to read from this Channel topic"
        member.expires_at = claims["exp"]
        return ""

    async def _expire(self) -> None:
        for member in [it for it in self._members if it.expires_at <= time.time()]:
            await self._shut(member, "Token has expired")

    async def _shut(self, member: Member, message: str) -> None:
        self._members = [it for it in self._members if it is not member]
        system = {"extension": "system", "status": "error", "message": message}
        with suppress(RuntimeError, WebSocketDisconnect):
            await member.push("system", {**system, "channel": member.topic})
            await member.push("phx_close", {}, member.join_ref)

    def _of(self, member: Member) -> list[Member]:
        return [
            it
            for it in self._members
            if it.connection is member.connection and it.join_ref == member.join_ref
        ]

    async def _set_faults(self, request: Request) -> Response:
        asked = await request.json()
        if asked.pop("cut_now", False):
            await self.cut()
        if message := asked.pop("shut_now", ""):
            await self.shut(message)
        self._random = random.Random(asked.pop("seed", 0))
        self.faults = Faults(**asked)
        return JSONResponse({"following": len(self._members)})

    async def _token(self, request: Request) -> Response:
        return Response(self._mint(request.path_params["user"], request.path_params["for_s"]))

    async def _pass_on(self, request: Request) -> Response:
        kept = ("apikey", "authorization", "content-type", "prefer", "accept", "accept-profile")
        answer = await self._client.request(
            request.method,
            f"{self._data_api}{request.url.path}",
            params=request.url.query,
            headers={name: text for name, text in request.headers.items() if name in kept},
            content=await request.body(),
        )
        told = {n: t for n, t in answer.headers.items() if n in ("content-type", "content-range")}
        return Response(answer.content, answer.status_code, told)


@asynccontextmanager
async def serving(stand_in: StandIn) -> AsyncIterator[None]:
    """The stand-in answers at its `url` until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    stand_in.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(stand_in.app(), log_level="error", lifespan="off"))
    running = asyncio.create_task(server.serve([listening]))
    relaying = asyncio.create_task(stand_in.relay())
    try:
        yield
    finally:
        relaying.cancel()
        await stand_in.cut()
        server.should_exit = True
        await running
        await stand_in.close()
