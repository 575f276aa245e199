"""`assistants webhook` sets up both sides: what it prints, the service takes; nothing is half done."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest
import pytest_asyncio

from backend.errors import WebhookRefused
from backend.integrations.supabase.webhook_url import webhook_url
from tests.contract.commands import assistants
from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.pg_net import PgNet, install_pg_net, install_vault
from tests.support.pooler import answers, transaction_pooler
from tests.support.processes import open_workshop
from tests.support.service import Services, open_sign_in
from tests.support.webhooks import PATH, Service, serving

URL = "https://assistants.example.com"
SECRET = re.compile(r"WEBHOOK_SECRET=(whsec_[A-Za-z0-9+/]{43}=)\n")
BOTH = re.compile(r"WEBHOOK_SECRET=(whsec_\S+)\nWEBHOOK_SECRET_PREVIOUS=(whsec_\S+)\n")


@pytest.fixture
def _equipped(database: Database) -> None:
    install_pg_net(database)
    install_vault(database)


async def run(database: Database, *arguments: str) -> CompletedProcess[str]:
    """Return how `assistants webhook` ended for the owner, who is no superuser."""
    return await assistants("webhook", *arguments, ADMIN_DATABASE_URL=database.url("postgres"))


def vault(database: Database) -> dict[str, str]:
    """Return what Vault holds."""
    lines = database.execute("select name || '=' || decrypted_secret from vault.decrypted_secrets")
    return dict(line.split("=", 1) for line in lines.splitlines())


@pytest_asyncio.fixture
async def net(chat: Chat, _equipped: None) -> AsyncIterator[PgNet]:
    async with httpx.AsyncClient() as client:
        yield PgNet(await chat.line().open(), client)


@contextmanager
def services(service_url: str, folder: Path) -> Iterator[Services]:
    """Yield what starts services; none is left afterwards."""
    with open_workshop(service_url) as workshop, open_sign_in() as sign_in:
        made = Services(workshop, sign_in, folder)
        try:
            yield made
        finally:
            made.close()


async def test_after_the_command_a_message_wakes_a_service_with_the_printed_secret(
    chat: Chat, net: PgNet, service_url: str, tmp_path: Path
) -> None:
    printed = SECRET.fullmatch((await run(chat.database, URL)).stdout)
    assert printed
    with services(service_url, tmp_path) as made:
        service = await made.ready("--with-worker", WEBHOOK_SECRET=printed[1])
        moved = await run(chat.database, service.url)
        await chat.ada.say(await chat.ada.start_session())

        assert await net.send(await net.take()) == [202]
    assert moved.stdout == ""


@pytest.mark.usefixtures("_equipped")
async def test_it_prints_the_secret_on_stdout_alone_and_once(database: Database) -> None:
    done = await run(database, URL)

    printed = SECRET.fullmatch(done.stdout)
    assert printed
    assert done.returncode == 0
    assert printed[1] not in done.stderr
    assert vault(database) == {
        "assistants_webhook_secret": printed[1],
        "assistants_webhook_url": URL + PATH,
    }


@pytest.mark.usefixtures("_equipped")
async def test_another_address_keeps_the_secret_and_prints_none(database: Database) -> None:
    await run(database, URL)
    before = vault(database)
    done = await run(database, "https://other.example.com/webhooks/messages/")

    assert (done.returncode, done.stdout) == (0, "")
    assert "stays" in done.stderr
    assert vault(database) == {
        **before,
        "assistants_webhook_url": "https://other.example.com/webhooks/messages",
    }
    assert before["assistants_webhook_secret"] not in done.stderr


async def test_while_the_secret_is_rotated_webhooks_of_both_are_taken(
    chat: Chat, net: PgNet
) -> None:
    printed = SECRET.fullmatch((await run(chat.database, URL)).stdout)
    assert printed
    session = await chat.ada.start_session()
    await chat.ada.say(session)
    rotated = await run(chat.database, "--rotate")
    await chat.ada.say(session)

    both = BOTH.fullmatch(rotated.stdout)
    assert both
    assert both[2] == printed[1] != both[1]
    assert "WEBHOOK_SECRET_PREVIOUS" in rotated.stderr
    signed_before_and_after = await net.take()
    for secrets, statuses in (
        ([both[1], both[2]], [202, 202]),
        ([both[1]], [401, 202]),
        ([both[2]], [202, 401]),
    ):
        async with serving(Service(*secrets).app) as address:
            sent = [replace(one, url=address + PATH) for one in signed_before_and_after]
            assert await net.send(sent) == statuses


async def test_off_ends_it_and_on_again_keeps_the_secret(chat: Chat, net: PgNet) -> None:
    first = await run(chat.database, URL)
    session = await chat.ada.start_session()
    off = await run(chat.database, "--off")
    await chat.ada.say(session)

    assert await net.take() == []
    assert "is off" in off.stderr
    assert off.stdout == ""
    assert "no webhook" in (await run(chat.database, "--off")).stderr
    assert (await run(chat.database, URL)).stdout == ""
    assert f"WEBHOOK_SECRET={vault(chat.database)['assistants_webhook_secret']}\n" == first.stdout


@pytest.mark.usefixtures("_equipped")
async def test_a_secret_that_is_none_is_replaced(database: Database) -> None:
    database.execute("select vault.create_secret('hunter2', 'assistants_webhook_secret')")
    done = await run(database, URL)

    assert SECRET.fullmatch(done.stdout)
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.usefixtures("_equipped")
async def test_it_works_through_a_transaction_pooler(database: Database) -> None:
    with transaction_pooler(database.url("postgres")) as url:
        await answers(url)
        for arguments in ([URL], ["--rotate"], ["--off"]):
            done = await assistants("webhook", *arguments, ADMIN_DATABASE_URL=url)
            assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert list(vault(database)) == ["assistants_webhook_secret"]


async def test_without_pg_net_it_says_where_to_switch_it_on_and_changes_nothing(
    database: Database,
) -> None:
    install_vault(database)
    done = await run(database, URL)

    assert (done.returncode, done.stdout) == (1, "")
    assert "Database → Extensions" in done.stderr
    assert "poll" in done.stderr
    assert vault(database) == {}


async def test_without_vault_it_says_so_and_changes_nothing(database: Database) -> None:
    install_pg_net(database)
    done = await run(database, URL)

    assert (done.returncode, done.stdout) == (1, "")
    assert "supabase_vault" in done.stderr
    assert "poll" in done.stderr
    assert "no webhook" in (await run(database, "--off")).stderr


@pytest.mark.usefixtures("_equipped")
async def test_what_fails_halfway_leaves_no_half(database: Database) -> None:
    database.execute(
        "alter table vault.secrets add check (name <> 'assistants_webhook_url' or secret = '')"
    )
    done = await run(database, URL)

    assert (done.returncode, done.stdout) == (1, "")
    assert "Nothing was changed: PostgreSQL says 23514" in done.stderr
    assert "whsec_" not in done.stderr
    assert vault(database) == {}


@pytest.mark.usefixtures("_equipped")
async def test_what_vault_does_not_give_back_is_not_set_up(database: Database) -> None:
    database.execute(
        "create function public.lose() returns trigger language plpgsql as"
        " $$ begin if new.name = 'assistants_webhook_url' then return null; end if; return new;"
        " end $$; create trigger lose before insert on vault.secrets for each row execute function"
        " public.lose()"
    )
    done = await run(database, URL)

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot reach url: nothing was changed" in done.stderr
    assert vault(database) == {}


@pytest.mark.usefixtures("_equipped")
async def test_no_statement_holds_the_secret(database: Database) -> None:
    database.execute(
        "create table public.spoken (query text); grant insert on public.spoken to postgres;"
        "alter table public.spoken enable row level security;"
        "create function public.hear() returns trigger language plpgsql security definer as"
        " $$ begin insert into public.spoken values (current_query()); return new; end $$;"
        "create trigger hear before insert on vault.secrets for each row execute function"
        " public.hear()"
    )
    done = await run(database, URL)

    heard = database.execute("select query from public.spoken")
    assert heard.count("vault.create_secret") == 2
    # Neither as a parameter, which a server may log as well.
    assert "gen_random_uuid" in heard
    printed = SECRET.fullmatch(done.stdout)
    assert printed
    assert printed[1] not in heard


async def test_before_the_migrations_it_says_to_migrate(database: Database) -> None:
    database.execute("drop function public.service_diagnose(); drop function engine.diagnose()")
    done = await run(database, URL)

    assert "assistants migrate" in done.stderr


@pytest.mark.usefixtures("_equipped")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "Say where"), (["--rotate"], "Say where"), (["--off", URL], "stands alone")],
)
async def test_it_asks_for_what_is_missing(
    database: Database, arguments: list[str], said: str
) -> None:
    done = await run(database, *arguments)

    assert (done.returncode > 0, done.stdout) == (True, "")
    assert said in done.stderr
    assert vault(database) == {}


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://a.example.com", "https://a.example.com/webhooks/messages"),
        ("https://a.example.com:8443/", "https://a.example.com:8443/webhooks/messages"),
        ("https://a.example.com/webhooks/messages", "https://a.example.com/webhooks/messages"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/webhooks/messages"),
        ("http://10.1.2.3", "http://10.1.2.3/webhooks/messages"),
        ("http://service:8000", "http://service:8000/webhooks/messages"),
    ],
)
def test_an_origin_or_the_whole_address_will_do(given: str, address: str) -> None:
    assert webhook_url(given) == address


@pytest.mark.parametrize(
    "given",
    [
        "assistants.example.com",
        "http://assistants.example.com",
        "http://8.8.8.8",
        "https://a.example.com/other",
        "https://ada:s3cret@a.example.com",
        "https://a.example.com/webhooks/messages?x=s3cret",
        "https://a.example.com#x",
        "https://a.exam ple.com",
        "https://a.example.com:0",
        "https://[x",
        "ftp://a.example.com",
        "file:///webhooks/messages",
        "",
    ],
)
def test_what_is_no_safe_address_is_refused(given: str) -> None:
    with pytest.raises(WebhookRefused) as refused:
        webhook_url(given)
    assert "s3cret" not in str(refused.value)
