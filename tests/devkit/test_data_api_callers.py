"""Who may ask the local Data API, and as whom: keys, tokens, forged tokens."""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.devkit.exchange import altered_token, ask, grants, run_sql, user_token, wait_until_known
from tests.support.stack import Stack

NOTES = "/rest/v1/notes"


def seen_as(stack: Stack, token: str | None) -> dict[str, object]:
    answer = ask(stack, "GET", "/rest/v1/rpc/seen", token=token)
    return {"status": answer.status_code, **(answer.json() if answer.is_success else {})}


def test_a_request_without_a_key_is_refused(stack: Stack) -> None:
    assert ask(stack, "GET", NOTES, headers={"apikey": ""}).status_code == 401


def test_a_request_with_a_wrong_key_is_refused(stack: Stack) -> None:
    assert ask(stack, "GET", NOTES, headers={"apikey": "sb_secret_guess"}).status_code == 401


def test_a_secret_key_in_a_browser_is_refused(stack: Stack) -> None:
    headers = {"apikey": stack.facts["secret_key"], "User-Agent": "Mozilla/5.0"}

    assert ask(stack, "GET", NOTES, headers=headers).status_code == 401


def test_the_secret_key_acts_as_the_service(stack: Stack) -> None:
    answer = ask(stack, "GET", "/rest/v1/rpc/seen", headers={"apikey": stack.facts["secret_key"]})

    assert answer.json()["role"] == "service_role"


def test_without_a_token_nobody_is_signed_in(stack: Stack) -> None:
    assert seen_as(stack, None)["role"] == "anon"
    assert ask(stack, "GET", NOTES).status_code == 401


def test_a_token_names_the_caller_and_all_its_claims(stack: Stack) -> None:
    token = altered_token(stack, o={"id": "org_acme", "rol": "admin"})

    seen = seen_as(stack, token)

    assert seen["role"] == "authenticated"
    assert seen["claims"] == jwt.decode(token, options={"verify_signature": False})


def test_a_token_without_a_role_is_nobody_signed_in(stack: Stack) -> None:
    assert seen_as(stack, altered_token(stack, role=None))["role"] == "anon"


@pytest.mark.parametrize("role", ["postgres", "supabase_admin", "assistants_engine"])
def test_a_token_cannot_name_a_role_that_the_platform_does_not_hand_out(
    stack: Stack, role: str
) -> None:
    answer = ask(stack, "GET", NOTES, token=altered_token(stack, role=role))

    assert answer.status_code == 403
    assert "permission denied to set role" in answer.json()["message"]


def test_an_expired_token_is_refused(stack: Stack) -> None:
    answer = ask(stack, "GET", NOTES, token=altered_token(stack, exp=int(time.time()) - 40))

    assert (answer.status_code, answer.json()["code"]) == (401, "PGRST303")


@pytest.mark.parametrize("issuer", ["https://clerk.example.com", "{}/", None])
def test_a_token_of_another_issuer_is_refused(stack: Stack, issuer: str | None) -> None:
    iss = issuer and issuer.format(stack.facts["issuer_url"])

    assert seen_as(stack, altered_token(stack, iss=iss)) == {"status": 401}


def test_a_token_that_never_expires_is_refused(stack: Stack) -> None:
    assert seen_as(stack, altered_token(stack, exp=None)) == {"status": 401}


def test_a_token_that_another_key_signed_is_refused(stack: Stack) -> None:
    claims = jwt.decode(user_token(stack), options={"verify_signature": False})
    header = jwt.get_unverified_header(user_token(stack))
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = jwt.encode(claims, other, algorithm="RS256", headers=header)

    assert seen_as(stack, forged) == {"status": 401}


def test_an_unsigned_token_is_refused(stack: Stack) -> None:
    claims = jwt.decode(user_token(stack), options={"verify_signature": False})

    assert seen_as(stack, jwt.encode(claims, "", algorithm="none")) == {"status": 401}


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(stack: Stack) -> None:
    claims = jwt.decode(user_token(stack), options={"verify_signature": False})
    kid = jwt.get_unverified_header(user_token(stack))["kid"]
    secret = b"-----BEGIN PUBLIC-KEY-----" + b"x" * 40

    forged = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid})

    assert seen_as(stack, forged) == {"status": 401}


def test_a_bearer_that_is_no_token_is_refused(stack: Stack) -> None:
    assert seen_as(stack, "nonsense") == {"status": 401}


def test_requests_change_no_grant_and_no_owner(stack: Stack, first_grants: list[Any]) -> None:
    ask(stack, "GET", NOTES, token=user_token(stack))
    ask(stack, "POST", NOTES, token=user_token(stack), json={"body": "a note"})
    ask(stack, "GET", NOTES, headers={"apikey": stack.facts["secret_key"]})
    ask(stack, "GET", "/storage/v1/bucket", token=user_token(stack))

    assert grants(stack) == first_grants


def test_row_security_that_is_switched_on_later_holds(stack: Stack) -> None:
    run_sql(
        stack,
        "create table public.late as select 1 as id; grant select on public.late to anon;"
        "alter table public.late enable row level security",
    )
    wait_until_known(stack, "late")

    found = ask(stack, "GET", "/rest/v1/late").json()
    run_sql(stack, "drop table public.late; select 1")
    assert found == []


def test_the_schema_of_the_engine_cannot_be_reached(stack: Stack) -> None:
    headers = {"apikey": stack.facts["secret_key"]}

    assert ask(stack, "GET", "/rest/v1/engine.runs", headers=headers).status_code == 404
    assert ask(stack, "GET", "/rest/v1/settings", headers=headers).status_code == 404
    profile = {**headers, "Accept-Profile": "engine"}
    assert ask(stack, "GET", "/rest/v1/runs", headers=profile).status_code == 406
