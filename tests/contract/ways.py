"""The ways to a database: with a login, through a pooler, and over the Data API."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.gateway_postgrest import PostgrestGateway
from backend.ports.clock import SystemClock
from backend.ports.gateway import Caller, Gateway
from tests.support.chat import Chat
from tests.support.data_api import Project, is_known
from tests.support.identities import Identity

TIMEOUT_S = 5.0


class Way(Protocol):
    """One way."""

    def open(self) -> AbstractAsyncContextManager[Gateway]:
        """Return a gateway."""
        ...

    def callers(self, who: Identity) -> list[Caller]:
        """Return this user in each form in which the service may know them."""
        ...

    def nowhere(self) -> AbstractAsyncContextManager[Gateway]:
        """Return a gateway to a database that is not there."""
        ...

    async def add(self, name: str, body: str, *, parameters: str = "") -> None:
        """The service has one more function, engine.<name>, which returns jsonb.

        Args:
            name: Of the function.
            body: Of PL/pgSQL, from `begin` on.
            parameters: With their types.
        """
        ...

    async def cut(self) -> None:
        """Every connection of the gateway to the database is lost."""
        ...


class ByLogin:
    """The service's own login."""

    def __init__(self, chat: Chat, url: str, *, through_pooler: bool) -> None:
        self._chat = chat
        self._url = url
        self._through_pooler = through_pooler

    def open(self) -> AsyncpgGateway:
        return self._to(self._url)

    def nowhere(self) -> AsyncpgGateway:
        return self._to(self._url.rpartition("@")[0] + "@127.0.0.1:1/postgres")

    def callers(self, who: Identity) -> list[Caller]:
        return [Caller(dict(who.claims or {}))]

    async def add(self, name: str, body: str, *, parameters: str = "") -> None:
        await _add(self._chat, name, body, parameters)

    async def cut(self) -> None:
        await _terminate(self._chat, "assistants_service")

    def _to(self, url: str) -> AsyncpgGateway:
        return AsyncpgGateway(
            url, SystemClock(), size=4, timeout_s=TIMEOUT_S, through_pooler=self._through_pooler
        )


class OverTheDataApi:
    """The project's URL and keys."""

    def __init__(self, chat: Chat, project: Project) -> None:
        self._chat = chat
        self.project = project

    def open(self) -> PostgrestGateway:
        return self._to(self.project.url)

    def nowhere(self) -> PostgrestGateway:
        return self._to("http://127.0.0.1:1")

    def callers(self, who: Identity) -> list[Caller]:
        claims = dict(who.claims or {})
        return [Caller(claims), Caller(claims, self.project.sign_in.token(who))]

    async def add(self, name: str, body: str, *, parameters: str = "") -> None:
        await _add(self._chat, name, body, parameters)
        names = ", ".join(it.split()[0] for it in parameters.split(", ") if it)
        await self._chat.admin.execute(
            f"create function public.service_{name}({parameters}) returns jsonb"
            f" language sql security invoker begin atomic select engine.{name}({names}); end;"
            f" revoke execute on function public.service_{name} from public;"
            f" grant execute on function public.service_{name} to service_role;"
            # Noticed together with the other one, and harmless to call.
            f" create function public.noticed_{name}() returns integer language sql return 1;"
        )
        await is_known(self.project, f"noticed_{name}")

    async def cut(self) -> None:
        await _terminate(self._chat, "authenticator")
        # The local one may end with its connections; in a stack its supervisor starts it again.
        self.project.kill()
        self.project.start()

    def _to(self, url: str) -> PostgrestGateway:
        return PostgrestGateway(
            url,
            SystemClock(),
            secret_key=self.project.keys.secret_key,
            publishable_key=self.project.keys.publishable_key,
            size=4,
            timeout_s=TIMEOUT_S,
        )


async def _add(chat: Chat, name: str, body: str, parameters: str) -> None:
    await chat.admin.execute(
        f"create function engine.{name}({parameters}) returns jsonb language plpgsql"
        f" security definer as $$ {body} $$; grant execute on function engine.{name} to public"
    )


async def _terminate(chat: Chat, login: str) -> None:
    await chat.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        f" where usename = '{login}' and datname = current_database()"
    )
