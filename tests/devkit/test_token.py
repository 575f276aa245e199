"""`assistants token`: for the local issuer, and for no other."""

import time

import httpx
import jwt
import pytest
from typer.testing import CliRunner

from backend.cli import commands
from tests.devkit.test_stack import refused
from tests.support.stack import Stack, assistants


def decoded(stack: Stack, token: str) -> dict[str, object]:
    url = f"{stack.facts['issuer_url']}/.well-known/jwks.json"
    [key] = httpx.get(url).json()["keys"]
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": key["kid"], "typ": "JWT"}
    return dict(jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], leeway=5))


def test_a_token_looks_like_clerks(stack: Stack) -> None:
    token = assistants("token", "--user", "user_ada", "--data", str(stack.data))

    claims = decoded(stack, token.removesuffix("\n"))

    now_s = time.time()
    assert claims["exp"] - claims["iat"] == 60  # type: ignore[operator]
    assert claims["iat"] == pytest.approx(now_s, abs=5)
    assert claims["nbf"] == claims["iat"] - 10  # type: ignore[operator]
    assert str(claims["sid"]).startswith("sess_")
    assert claims["iss"] == stack.facts["issuer_url"]
    assert (claims["sub"], claims["role"], claims["v"]) == ("user_ada", "authenticated", 2)
    assert claims["sts"] == "active"
    assert "o" not in claims


def test_a_token_names_the_active_organisation(stack: Stack) -> None:
    options = ["--org", "org_acme", "--role", "admin", "--data", str(stack.data)]

    claims = decoded(stack, assistants("token", "--user", "user_ada", *options).strip())

    assert claims["o"] == {"id": "org_acme", "rol": "admin", "slg": "acme"}


def test_a_member_of_the_organisation_is_who_says_no_role(stack: Stack) -> None:
    options = ["--org", "org_acme", "--data", str(stack.data)]

    claims = decoded(stack, assistants("token", "--user", "user_ada", *options).strip())

    assert claims["o"] == {"id": "org_acme", "rol": "member", "slg": "acme"}


def test_an_id_that_no_issuer_would_give_is_refused(stack: Stack) -> None:
    said = refused("token", "--user", "user\nada", "--data", str(stack.data))
    assert said == "The user must be a text without control characters."


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--user", ""], "user"),
        (["--user", "user_ada", "--org", ""], "organisation"),
        (["--user", "user_ada", "--org", "org_acme", "--role", ""], "role"),
    ],
)
def test_an_empty_id_is_called_empty(stack: Stack, options: list[str], name: str) -> None:
    said = refused("token", *options, "--data", str(stack.data))
    assert said == f"The {name} is empty: name one."


def test_a_role_without_an_organisation_is_no_option() -> None:
    options = ["token", "--user", "user_ada", "--role", "admin"]

    tried = CliRunner().invoke(commands, options, env={"COLUMNS": "100"})

    assert tried.exit_code == 2
    assert "--role is the one in an organisation: add --org." in tried.output


def test_a_target_that_trusts_another_issuer_gets_no_token() -> None:
    said = refused(
        "token",
        "--user",
        "user_ada",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/postgres",
        CLERK_ISSUER="https://clerk.example.com",
    )

    assert "trusts https://clerk.example.com" in said


def test_the_issuer_is_found_as_clerks_is(stack: Stack) -> None:
    issuer = stack.facts["issuer_url"]

    found = httpx.get(f"{issuer}/.well-known/openid-configuration").json()

    assert (found["issuer"], found["jwks_uri"]) == (issuer, f"{issuer}/.well-known/jwks.json")
