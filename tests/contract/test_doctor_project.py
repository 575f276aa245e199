"""The doctor over HTTP: keys, exposure, users and sign-ups, on a real Data API and on broken ones."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from backend.integrations.supabase.project_checks import check_answer
from backend.integrations.supabase.questions import Project as Asked
from backend.integrations.supabase.questions import open_client
from tests.contract.examining import (
    NO_KEY,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    WRONG_KEY,
    answer,
    answering,
    examine,
    of,
    refusal,
)
from tests.support.chat import Chat
from tests.support.data_api import Project, is_served, open_project
from tests.support.identities import ADA
from tests.support.processes import until
from tests.support.token_builder import LEFT_OUT, TokenBuilder, rsa_key

TRIED = "users' tokens"
SETTINGS = "/auth/v1/settings"
DIAGNOSE = "/rest/v1/rpc/service_diagnose"
ENGINE = "/rest/v1/settings"
SESSIONS = "/rest/v1/chat_sessions"
# As a sound project answers to a publishable key.
SOUND = {"/rest/v1/": NO_KEY, DIAGNOSE: refusal("42501", 401), ENGINE: refusal("PGRST106", 406)}
STRANGER = TokenBuilder("https://clerk.example.com", rsa_key("stranger"))


@pytest_asyncio.fixture
async def project(chat: Chat) -> AsyncIterator[Project]:
    with open_project(chat.database) as made:
        await is_served(made)
        yield made


def keys_of(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "supabase_url": url,
        "supabase_publishable_key": PUBLISHABLE_KEY,
        "supabase_secret_key": SECRET_KEY,
        **changes,
    }


def legacy(role: str) -> str:
    return TokenBuilder("supabase", rsa_key("stranger")).token(role=role)


@pytest.mark.parametrize("name", ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"])
async def test_a_key_of_another_project_is_refused_and_not_shown(
    project: Project, name: str
) -> None:
    wrong = {"SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE_KEY, "SUPABASE_SECRET_KEY": SECRET_KEY}[name]
    found = await examine(**of(project, **{name.lower(): wrong}))
    assert found[name].level == "fail"
    assert "refused" in found[name].found
    assert wrong not in found.text()


async def test_swapped_keys_are_recognised(project: Project) -> None:
    publishable, secret = project.keys.publishable_key, project.keys.secret_key
    found = await examine(
        **of(project, supabase_publishable_key=secret, supabase_secret_key=publishable)
    )
    assert found["SUPABASE_PUBLISHABLE_KEY"].found == "is the secret key"
    assert "new secret key" in found["SUPABASE_PUBLISHABLE_KEY"].advice
    assert found["SUPABASE_SECRET_KEY"].found == "is the publishable key"
    assert "functions" not in found
    assert not {word for word in (publishable, secret) if word in found.text()}


@pytest.mark.parametrize(
    ("role", "level"), [("service_role", "warn"), ("anon", "fail"), ("authenticated", "fail")]
)
async def test_a_legacy_key_is_a_warning_and_the_wrong_one_a_failure(role: str, level: str) -> None:
    key = legacy(role)
    async with answering({**SOUND, DIAGNOSE: answer({})}) as url:
        found = await examine(**keys_of(url, supabase_secret_key=key))
    assert found["SUPABASE_SECRET_KEY"].level == level
    assert "legacy" in found["SUPABASE_SECRET_KEY"].found
    assert key not in found.text()


async def test_a_legacy_key_that_is_switched_off_is_refused() -> None:
    async with answering({**SOUND, DIAGNOSE: refusal("PGRST301", 401)}) as url:
        found = await examine(**keys_of(url, supabase_secret_key=legacy("service_role")))
    assert found["SUPABASE_SECRET_KEY"].level == "fail"


@pytest.mark.parametrize("key", ["nonsense", "sb_secret_\n", "sb_secret_ünïcode", "eyJ.eyJ.x"])
async def test_a_key_that_is_none_is_never_sent_nor_shown(key: str) -> None:
    async with answering(SOUND) as url:
        found = await examine(**keys_of(url, supabase_secret_key=key))
    assert found["SUPABASE_SECRET_KEY"].found == "has another shape"
    assert key not in found.text()


async def test_a_secret_key_without_the_rights_of_the_service_role_is_found() -> None:
    async with answering(SOUND) as url:
        found = await examine(**keys_of(url))
    assert "without the service role's rights" in found["SUPABASE_SECRET_KEY"].found


@pytest.mark.parametrize(
    "url",
    [
        "https://supabase.com/dashboard/project/abcdefghijklmnopqrst",
        "https://abcdefghijklmnopqrst.supabase.co/rest/v1",
        "http://abcdefghijklmnopqrst.supabase.co",
        "https://ada:s3cret@abcdefghijklmnopqrst.supabase.co",
    ],
)
async def test_a_url_that_is_not_the_projects_is_never_asked(url: str) -> None:
    found = await examine(**keys_of(url))
    assert found["SUPABASE_URL"].level == "fail"
    assert "s3cret" not in found.text()
    assert list(found) == [
        "settings",
        "SUPABASE_URL",
        "issuer",
    ]


@asynccontextmanager
async def dripping() -> AsyncIterator[str]:
    """Yield the URL of somebody who never comes to an end."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
        try:
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_answer_that_drips_is_not_waited_for() -> None:
    began = time.monotonic()
    async with asyncio.timeout(10), dripping() as url, open_client() as client:
        check = await check_answer(Asked(url, client, timeout_s=0.2))
    assert (check.level, "in time" in check.found) == ("fail", True)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (answer(b"<html>Welcome</html>"), "no Data API"),
        (answer(b"<html>Welcome</html>", 404), "no Data API"),
        (answer({"message": "nothing here"}, 404), "no Data API"),
        (answer({}, 302, headers="Location: http://127.0.0.1:1/\r\n"), "no Data API"),
        (answer({}, 540), "paused"),
        (answer(b"Bad gateway", 502), "HTTP 502"),
        (answer(b"{" + b'"x":' * 60_000), "no Data API"),
        (answer(b"[" * 200_000), "no Data API"),
        (answer(b'"' + b"x" * 300_000 + b'"'), "without end"),
        (answer(gzip.compress(b"[]"), headers="Content-Encoding: gzip\r\n"), "no Data API"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
    ],
    ids=range(12),
)
async def test_whoever_answers_something_else_is_no_project(said: bytes, found: str) -> None:
    async with answering({"/": said}) as url:
        findings = await examine(**keys_of(url))
    assert findings["SUPABASE_URL"].level == "fail"
    assert found in findings["SUPABASE_URL"].found
    assert list(findings) == ["settings", "SUPABASE_URL", "issuer"]


async def test_a_project_that_is_not_there_is_said_to_be_so() -> None:
    findings = await examine(**keys_of("http://127.0.0.1:1"))
    assert "ConnectError" in findings["SUPABASE_URL"].found


@pytest.mark.parametrize(
    "said",
    [
        answer(b"<html>"),
        answer(b"<html>", 502),
        answer({"code": ["x"]}, 400),
        answer({"code": "\x1b[31mred"}, 400),
        answer([1, 2], 401),
        answer(None),
        answer({"schema_version": 7, "workers": "many"}),
        b"",
    ],
    ids=range(8),
)
async def test_broken_answers_behind_a_sound_front_end_in_findings(said: bytes) -> None:
    paths = ["/rest/v1/rpc", ENGINE, SETTINGS, SESSIONS]
    async with answering({"/rest/v1/": NO_KEY, **dict.fromkeys(paths, said)}) as url:
        token = STRANGER.token()
        found = await examine(**keys_of(url), clerk_issuer=STRANGER.issuer, token=token)
    assert found.of_level("fail")
    assert not found.get("functions", found["SUPABASE_SECRET_KEY"]).ok
    assert "red" not in found.text()
    assert not {it for it in (token, SECRET_KEY, PUBLISHABLE_KEY) if it in found.text()}


async def test_service_functions_that_browsers_may_call_are_found(
    chat: Chat, project: Project
) -> None:
    await chat.admin.execute(
        "grant execute on function public.service_diagnose(), engine.diagnose() to anon"
    )
    found = await examine(**of(project))
    assert found["service functions"].level == "fail"
    assert "revoke" in found["service functions"].advice


async def test_an_engine_that_is_exposed_is_found() -> None:
    for exposed in (refusal("42501", 401), refusal("PGRST205", 404), answer([])):
        async with answering({**SOUND, ENGINE: exposed}) as url:
            found = await examine(**keys_of(url))
        assert found["schema engine"].level == "fail"


async def test_a_public_that_is_not_served_is_found() -> None:
    async with answering({**SOUND, DIAGNOSE: refusal("PGRST106", 406)}) as url:
        found = await examine(**keys_of(url))
    for name in ("functions", "service functions"):
        assert found[name].level == "fail"
        assert "does not serve public" in found[name].found


async def test_a_data_api_that_has_not_noticed_the_functions_is_found(service_url: str) -> None:
    async with answering({**SOUND, DIAGNOSE: refusal("PGRST202", 404)}) as url:
        found = await examine(**keys_of(url), database_url=service_url)
    assert found["functions"].ok
    assert found["service functions"].level == "fail"
    assert "reload schema" in found["service functions"].advice


async def test_a_users_token_that_the_project_trusts_is_sound(project: Project) -> None:
    token = project.sign_in.token(ADA)
    found = await examine(**of(project), token=token)
    assert found[TRIED].ok
    assert token not in found.text()


async def test_an_expired_token_is_said_to_be_one(project: Project) -> None:
    found = await examine(**of(project), token=project.sign_in.token(ADA, older_s=600))
    assert "expired" in found[TRIED].found


async def test_a_project_that_does_not_trust_the_issuer_is_found(project: Project) -> None:
    forged = TokenBuilder(project.sign_in.url, rsa_key("stranger"))
    now_s = int(time.time())
    token = forged.token(iat=now_s, nbf=now_s, exp=now_s + 60)
    found = await examine(**of(project), token=token)
    assert "does not trust" in found[TRIED].found
    assert "third_party" in found[TRIED].advice


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"role": LEFT_OUT}, "dashboard.clerk.com/setup/supabase"),
        ({"role": "anon"}, "dashboard.clerk.com/setup/supabase"),
        ({"iss": "https://other.example.com"}, "CLERK_ISSUER"),
    ],
)
async def test_a_token_that_cannot_work_is_never_sent(claims: dict[str, Any], said: str) -> None:
    async with answering({**SOUND, SESSIONS: answer([])}) as url:
        token = STRANGER.token(**claims)
        found = await examine(**keys_of(url), clerk_issuer=STRANGER.issuer, token=token)
    assert found[TRIED].level == "fail"
    assert said in found[TRIED].found + found[TRIED].advice
    assert token not in found.text()


@pytest.mark.parametrize("token", ["x", "a.b.c", "ey\x00J.e30.x", "a.W10.c"])
async def test_what_is_no_token_is_said_to_be_none(token: str) -> None:
    async with answering(SOUND) as url:
        found = await examine(**keys_of(url), token=token)
    assert found[TRIED].found == "what was given is no token"


async def test_a_token_that_the_project_takes_for_nobodys_is_found() -> None:
    async with answering({**SOUND, SESSIONS: refusal("42501", 401)}) as url:
        found = await examine(**keys_of(url), clerk_issuer=STRANGER.issuer, token=STRANGER.token())
    assert "dashboard.clerk.com/setup/supabase" in found[TRIED].advice


@pytest.mark.parametrize(
    ("said", "level", "found"),
    [
        (answer({"disable_signup": False}), "warn", "anybody can sign up"),
        (answer({"disable_signup": True}), "ok", "closed"),
        (answer({}, 404), "ok", "no Auth server"),
        (answer({"disable_signup": "no"}), "warn", "not checked"),
        (answer(b"<html>"), "warn", "not checked"),
        (WRONG_KEY, "warn", "not checked"),
    ],
    ids=range(6),
)
async def test_open_sign_ups_are_a_warning(said: bytes, level: str, found: str) -> None:
    async with answering({**SOUND, SETTINGS: said}) as url:
        findings = await examine(**keys_of(url))
    assert findings["sign-ups"].level == level
    assert found in findings["sign-ups"].found


async def test_an_issuer_that_is_not_set_is_found(project: Project) -> None:
    found = await examine(**of(project, clerk_issuer=None))
    assert found["issuer"].found == "CLERK_ISSUER is not set"


async def test_functions_that_appear_are_noticed(chat: Chat, project: Project) -> None:
    script = await chat.admin.fetchval(
        "select pg_get_functiondef('public.service_diagnose()'::regprocedure)"
    )
    await chat.admin.execute("drop function public.service_diagnose()")

    async def says(code: str) -> bool:
        return code in (await examine(**of(project)))["functions"].found

    await until(lambda: says("PGRST202"))
    await chat.admin.execute(
        f"{script}; grant execute on function public.service_diagnose() to service_role"
    )
    await until(lambda: says("PostgreSQL"))
