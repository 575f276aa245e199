"""The doctor names what is wrong with a database, the same by login and over the Data API."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from backend.integrations.supabase import bundle
from tests.contract.examining import Findings, examine, of
from tests.contract.ways import ByLogin, OverTheDataApi, Way
from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.data_api import Project, is_served, open_project
from tests.support.pooler import answers, transaction_pooler
from tests.support.processes import open_workshop, until

NEWEST = bundle.migrations()[-1].version
NOT_TRIED = "users' tokens"


@pytest_asyncio.fixture
async def project(chat: Chat) -> AsyncIterator[Project]:
    with open_project(chat.database) as made:
        await is_served(made)
        await chat.configure(token_issuer=made.sign_in.url)
        yield made


async def both(project: Project, service_url: str, **settings: Any) -> list[Findings]:
    """Return what is found by login, and what over the Data API."""
    ours = of(project, **settings)
    return [await examine(**ours, database_url=service_url), await examine(**ours)]


async def test_a_sound_project_has_only_its_worker_missing(
    project: Project, service_url: str
) -> None:
    for found in await both(project, service_url):
        assert found.of_level("fail") == ["worker"], found.text()
        assert found.of_level("warn") == [NOT_TRIED], found.text()
        assert "assistants work" in found["worker"].advice
        assert "--token -" in found[NOT_TRIED].advice


async def test_both_ways_find_the_same_in_the_order_in_which_to_see_to_it(
    project: Project, service_url: str
) -> None:
    by_login, over_http = await both(project, service_url)

    of_the_login = ["database", "role", "wake-ups"]
    assert [name for name in by_login if name not in of_the_login] == list(over_http)
    assert list(over_http) == [
        "settings",
        "SUPABASE_URL",
        "SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_SECRET_KEY",
        "functions",
        "schema",
        "policies",
        "service functions",
        "schema engine",
        "issuer",
        "issuer clock",
        "pinned issuer",
        NOT_TRIED,
        "sign-ups",
        "default assistant",
        "clock",
        "webhook",
        "realtime",
        "attachments",
        "worker",
    ]
    assert "DATABASE_URL" in by_login["settings"].found
    assert "SUPABASE_URL" in over_http["settings"].found


@pytest.mark.parametrize(
    ("pinned", "level", "said"),
    [
        (None, "warn", "migrate --pin-issuer"),
        ("https://clerk.example.com", "fail", "no user sees any row"),
    ],
)
async def test_tokens_that_are_not_pinned_to_our_issuer_are_found(
    chat: Chat, project: Project, service_url: str, pinned: str | None, level: str, said: str
) -> None:
    await chat.configure(token_issuer=pinned)
    for found in await both(project, service_url):
        check = found["pinned issuer"]
        assert check.level == level
        assert said in f"{check.found} {check.advice}"


async def test_a_pin_that_policies_do_not_go_by_is_found(
    chat: Chat, project: Project, service_url: str
) -> None:
    await chat.configure(token_issuer="https://clerk.example.com")
    await chat.admin.execute(
        "create or replace view engine.pinned_issuer with (security_invoker = true) as"
        " select null::text as issuer"
    )

    for found in await both(project, service_url):
        assert found["pinned issuer"].level == "fail"
        assert "policies go by None" in found["pinned issuer"].found


async def test_a_login_alone_is_enough_for_a_worker(chat: Chat, service_url: str) -> None:
    assert chat.database
    found = await examine(database_url=service_url, clerk_issuer="http://127.0.0.1:1")
    assert found.of_level("warn") == ["SUPABASE_URL", "pinned issuer"]
    assert found.of_level("fail") == ["issuer", "worker"]


async def test_a_running_worker_is_seen(service_url: str) -> None:
    with open_workshop(service_url) as workshop:
        await workshop.ready()

        async def is_seen() -> bool:
            return (await examine(database_url=service_url))["worker"].ok

        await until(is_seen)


async def test_the_superuser_is_not_accepted_as_the_services_login(chat: Chat) -> None:
    found = await examine(database_url=chat.database.url("supabase_admin"))
    assert found["role"].level == "fail"
    assert "row-level security" in found["role"].found
    assert "functions" not in found


async def test_a_login_without_the_engines_rights_is_not_accepted(chat: Chat) -> None:
    found = await examine(database_url=chat.database.url("authenticator"))
    assert "no member" in found["role"].found
    assert "--service-role" in found["role"].advice


async def test_a_login_that_may_not_act_for_users_is_not_accepted(
    chat: Chat, service_url: str
) -> None:
    owner = await chat.line("postgres").open()
    await owner.execute("revoke authenticated from assistants_service")
    found = await examine(database_url=service_url)
    assert "may not act as authenticated" in found["role"].found


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("alter table public.messages disable row level security", "public.messages"),
        ("drop policy {policy} on public.messages", "missing"),
        ("create policy mine on public.messages using (true)", "unknown: mine"),
    ],
)
async def test_policies_that_were_changed_by_hand_are_found(
    chat: Chat, project: Project, service_url: str, damage: str, found: str
) -> None:
    policy = await chat.admin.fetchval(
        "select quote_ident(policyname) from pg_policies where tablename = 'messages' limit 1"
    )
    await chat.admin.execute(damage.format(policy=policy))
    for findings in await both(project, service_url):
        assert findings["policies"].level == "fail"
        assert found in findings["policies"].found


async def test_realtime_without_its_policies_is_a_warning(chat: Chat, service_url: str) -> None:
    await chat.admin.execute(
        'drop policy "only the service speaks in a session" on realtime.messages'
    )
    found = await examine(database_url=service_url)
    assert found["realtime"].level == "warn"
    assert "realtime/messages.sql" in found["realtime"].advice


async def test_a_project_without_realtime_is_sound(chat: Chat, service_url: str) -> None:
    await chat.admin.execute("drop schema realtime cascade")
    found = await examine(database_url=service_url)
    assert "not there" in found["realtime"].found
    assert found["realtime"].ok


@pytest.mark.parametrize(
    ("damage", "level", "found"),
    [
        ('drop policy "attachments never change" on storage.objects', "warn", "missing"),
        ("update storage.buckets set public = true", "fail", "public"),
        ("update storage.buckets set id = 'others'", "fail", "gone"),
        ("update storage.buckets set file_size_limit = null", "warn", "any size"),
        ("update storage.buckets set allowed_mime_types = null", "warn", "any size or type"),
        ("drop schema storage cascade", "ok", "no Storage"),
    ],
)
async def test_attachments_that_are_not_guarded_or_not_limited_are_found(
    chat: Chat, project: Project, service_url: str, damage: str, level: str, found: str
) -> None:
    assert (await examine(database_url=service_url))["attachments"].ok
    await chat.admin.execute(damage)
    for findings in await both(project, service_url):
        assert findings["attachments"].level == level
        assert found in findings["attachments"].found


async def test_a_schema_behind_this_release_is_found(
    chat: Chat, project: Project, service_url: str
) -> None:
    await chat.admin.execute(
        "delete from supabase_migrations.schema_migrations where version = $1", NEWEST
    )
    for found in await both(project, service_url):
        assert found["schema"].level == "fail"
        assert "older" in found["schema"].found
        assert "assistants migrate" in found["schema"].advice


async def test_a_schema_ahead_of_this_release_is_fine(chat: Chat, service_url: str) -> None:
    await chat.admin.execute(
        "insert into supabase_migrations.schema_migrations (version) values ('29990101000000')"
    )
    found = await examine(database_url=service_url)
    assert found["schema"].ok
    assert "newer" in found["schema"].found


async def test_a_migration_that_a_newer_history_hides_is_found(
    chat: Chat, service_url: str
) -> None:
    lost = bundle.migrations()[-2].version
    await chat.admin.execute(
        f"insert into supabase_migrations.schema_migrations (version) values ('29990101000000');"
        f" delete from supabase_migrations.schema_migrations where version = '{lost}'"
    )
    found = await examine(database_url=service_url)
    assert found["schema"].found == f"version {lost} was never applied"


async def test_a_project_without_our_functions_is_told_to_migrate(
    chat: Chat, project: Project, service_url: str
) -> None:
    await chat.admin.execute(
        "drop function public.service_diagnose(); drop function engine.diagnose()"
    )

    async def is_noticed() -> bool:
        return "PGRST202" in (await examine(**of(project)))["functions"].found

    await until(is_noticed)
    for found in await both(project, service_url):
        assert found["functions"].level == "fail"
        assert "assistants migrate" in found["functions"].advice
        assert "schema" not in found
        assert found["SUPABASE_SECRET_KEY"].ok


@pytest.mark.parametrize(
    ("settings", "level", "said"),
    [
        ({}, "fail", "DATABASE_TRANSACTION_POOLER=true"),
        ({"database_transaction_pooler": True}, "warn", "session pooler"),
        ({"worker_listen": "off"}, "ok", ""),
    ],
)
async def test_a_pooler_that_delivers_no_notifications_is_found(
    service_url: str, settings: dict[str, Any], level: str, said: str
) -> None:
    with transaction_pooler(service_url) as url:
        await answers(url)
        found = await examine(database_url=url, **settings)
    assert found["wake-ups"].level == level
    assert said in found["wake-ups"].advice
    assert found["functions"].ok


async def test_a_direct_connection_hears(service_url: str) -> None:
    assert (await examine(database_url=service_url))["wake-ups"].found == "LISTEN works"


async def test_a_database_that_is_not_there_hides_what_is_inside() -> None:
    found = await examine(database_url="postgresql://service:s3cret@127.0.0.1:1/postgres")
    assert found.of_level("fail") == ["database", "issuer"]
    assert "s3cret" not in found.text()
    assert "worker" not in found


async def test_a_wrong_password_is_said_and_not_shown(service_url: str) -> None:
    login, _, place = service_url.rpartition("@")
    found = await examine(database_url=f"{login.rpartition(':')[0]}:s3cret@{place}")
    assert "28P01" in found["database"].found
    assert "--service-role" in found["database"].advice
    assert "s3cret" not in found.text()


@pytest.mark.parametrize("login", ["anon", "authenticated"])
async def test_only_the_service_is_told(database: Database, login: str) -> None:
    for function in ("engine.diagnose", "public.service_diagnose"):
        said = database.execute(
            f"select has_function_privilege('{login}', '{function}()', 'execute')"
        )
        assert said.strip() == "f"


async def test_what_is_told_holds_nothing_of_users(chat: Chat, way: Way) -> None:
    await chat.ada.say(await chat.ada.start_session(title="s3cret"), "s3cret")
    async with way.open() as gateway:
        said = await gateway.call("engine.diagnose", {})
    assert "s3cret" not in str(said)
    assert isinstance(way, ByLogin | OverTheDataApi)
    assert sorted(said) == [
        "attachments",
        "cheaper_models",
        "default_model",
        "now",
        "pinned_issuer",
        "policies",
        "realtime",
        "schema_version",
        "schema_versions",
        "server_version",
        "token_issuer",
        "unguarded",
        "user_models",
        "webhook",
        "workers",
    ]
