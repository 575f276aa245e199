"""`assistants doctor` as its user runs it: what it prints, how it ends, and what it never shows."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.commands import assistants
from tests.contract.examining import NO_KEY, PUBLISHABLE_KEY, SECRET_KEY, answer, answering
from tests.support.chat import Chat
from tests.support.data_api import Project, is_served, open_project
from tests.support.identities import ADA
from tests.support.processes import open_workshop


@pytest_asyncio.fixture
async def project(chat: Chat) -> AsyncIterator[Project]:
    with open_project(chat.database) as made:
        await is_served(made)
        await chat.configure(token_issuer=made.sign_in.url)
        yield made


async def test_where_a_worker_answers_all_is_well_and_nothing_secret_is_printed(
    project: Project, service_url: str
) -> None:
    token = project.sign_in.token(ADA)
    with open_workshop(service_url) as workshop:
        await workshop.ready()
        done = await assistants("doctor", "--token", "-", typed=f"{token}\n", **project.environment)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert {line[:4] for line in lines} == {"ok  "}
    assert "ok    users' tokens: the project trusts Clerk's tokens" in lines
    secrets = [token, project.keys.secret_key, project.keys.publishable_key]
    assert not [secret for secret in secrets if secret in done.stdout]


async def test_a_warning_alone_is_no_failure(project: Project, service_url: str) -> None:
    with open_workshop(service_url) as workshop:
        await workshop.ready()
        done = await assistants("doctor", **project.environment, DATABASE_URL=service_url)

    assert done.returncode == 0
    assert "\nwarn  users' tokens: not checked\n      Sign in" in done.stdout
    assert service_url.rpartition("@")[0].rpartition(":")[2] not in done.stdout


async def test_a_failure_is_exit_code_1_and_says_what_to_do(project: Project) -> None:
    done = await assistants("doctor", **project.environment)

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith(
        "FAIL  worker: no worker has reported lately\n      Start one: `assistants work`.\n"
    )


async def test_a_token_on_the_command_line_is_not_taken(project: Project) -> None:
    done = await assistants("doctor", "--token", "eyJ.s3cret", **project.environment)

    assert (done.returncode, done.stdout) == (2, "")
    assert "s3cret" not in done.stderr


async def test_what_a_stranger_answers_cannot_paint_the_terminal() -> None:
    said = {
        "schema_version": "1\x1b[2J\nok    forged: all is well",
        "workers": 1,
        "server_version": "\x1b[31m",
        "now": "2026-11-21T00:00:00+00:00",
        "unguarded": [],
        "policies": [],
        "webhook": {"pg_net": False, "vault": False, "url": False, "secret": False},
        "realtime": False,
        "default_model": None,
        "user_models": [],
    }
    paths = {"/rest/v1/": NO_KEY, "/rest/v1/rpc": answer(said)}
    async with answering(paths) as url:
        done = await assistants(
            "doctor",
            SUPABASE_URL=url,
            SUPABASE_SECRET_KEY=SECRET_KEY,
            SUPABASE_PUBLISHABLE_KEY=PUBLISHABLE_KEY,
        )

    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\nok    forged" not in done.stdout


async def test_without_settings_it_says_which_are_needed() -> None:
    done = await assistants("doctor", SUPABASE_URL="http://127.0.0.1:1")

    assert done.returncode == 1
    assert "SUPABASE_SECRET_KEY" in done.stderr
    assert "Traceback" not in done.stderr
