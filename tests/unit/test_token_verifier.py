"""Only a token that the issuer signed as a session token is opened."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import get_default_algorithms

from backend.errors import IdentityUnavailable
from backend.integrations.clerk.jwks import KeySet
from backend.integrations.clerk.tokens import ClerkTokenVerifier
from tests.support.key_server import key_server
from tests.support.manual_clock import ManualClock, settle
from tests.support.token_builder import (
    KID,
    LEFT_OUT,
    NOW_S,
    ORIGIN,
    TokenBuilder,
    jwk,
    part,
    rsa_key,
)
from tests.support.verifying import Make, door

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
STRANGER = rsa_key("other")


def signed_as(said: str, done: str) -> Make:
    """Return a maker of tokens whose header names one algorithm and whose signature is another's.

    Every asymmetric one gets a key of its kind; HMAC gets the public key as its secret.
    """

    def make(tokens: TokenBuilder) -> str:
        signing_input = f"{part(tokens.header(alg=said))}.{part(tokens.claims())}"
        return f"{signing_input}.{part(_signature(tokens, done, signing_input.encode()))}"

    return make


def _signature(tokens: TokenBuilder, algorithm: str, signing_input: bytes) -> bytes:
    if algorithm == "none":
        return b"no signature"
    if algorithm == "HS256":
        public = tokens.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hmac.new(public, signing_input, hashlib.sha256).digest()
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else tokens.key
    return get_default_algorithms()[algorithm].sign(signing_input, key)


def header(**changes: Any) -> Make:
    return lambda tokens: tokens.token(header=changes)


def by_a_stranger(**in_header: Any) -> Make:
    """Return a maker of tokens that are right but for the key, which the header may offer."""
    return lambda tokens: TokenBuilder(tokens.issuer, STRANGER).token(header=in_header)


def written(text: str) -> Make:
    """Return a maker of tokens with this header, properly signed."""
    return lambda tokens: tokens.signed(text.encode(), tokens.claims())


def cut(start: int, end: int | None) -> Make:
    return lambda tokens: ".".join(tokens.token().split(".")[start:end])


WRONG: Mapping[str, tuple[str, Make]] = {
    "none": ("algorithm", signed_as("none", "none")),
    "NONE": ("algorithm", signed_as("NoNe", "none")),
    "none without a signature": ("malformed", lambda t: f"{cut(0, 2)(t)}."),
    "the public key as a secret": ("algorithm", signed_as("HS256", "HS256")),
    "RS384": ("algorithm", signed_as("RS384", "RS384")),
    "RS512": ("algorithm", signed_as("RS512", "RS512")),
    "PS256": ("algorithm", signed_as("PS256", "PS256")),
    "ES256": ("algorithm", signed_as("ES256", "ES256")),
    "rs256": ("algorithm", header(alg="rs256")),
    "no algorithm": ("algorithm", header(alg=LEFT_OUT)),
    "a list of algorithms": ("algorithm", header(alg=["RS256"])),
    "the public key as a secret, said to be RS256": ("signature", signed_as("RS256", "HS256")),
    "RS512, said to be RS256": ("signature", signed_as("RS256", "RS512")),
    "PS256, said to be RS256": ("signature", signed_as("RS256", "PS256")),
    "no type": ("type", header(typ=LEFT_OUT)),
    "an OAuth access token": ("type", header(typ="at+jwt")),
    "JOSE": ("type", header(typ="JOSE")),
    "jwt": ("type", header(typ="jwt")),
    "a type that is no text": ("type", header(typ=None)),
    "no key id": ("key_id", header(kid=LEFT_OUT)),
    "an empty key id": ("key_id", header(kid="")),
    "a key id that is no text": ("key_id", header(kid=[KID])),
    "an unknown key id": ("unknown_key", header(kid="ins_other")),
    "a critical header": ("critical_header", header(crit=["exp"])),
    "a critical header that PyJWT knows": ("critical_header", header(crit=["b64"], b64=True)),
    "nothing that is critical": ("critical_header", header(crit=[])),
    "an unencoded payload": ("malformed", header(b64=False)),
    "a stranger's": ("signature", by_a_stranger()),
    "a stranger's with its key": ("signature", by_a_stranger(jwk=jwk(STRANGER))),
    "a stranger's with its certificate": ("signature", by_a_stranger(x5c=["MIIB"])),
    "a header that is no object": ("malformed", written('["RS256"]')),
    "a header that is no JSON": ("malformed", written("{'alg': 'RS256'}")),
    "a header with a member twice": (
        "malformed",
        written(f'{{"alg":"RS256","kid":"{KID}","typ":"at+jwt","typ":"JWT"}}'),
    ),
    "a header in UTF-16": (
        "malformed",
        lambda t: t.signed(t.header().decode().encode("utf-16"), t.claims()),
    ),
    "a bottomless header": ("malformed", written("[" * 5000)),
    "a deep header": ("malformed", header(deep=json.loads("[" * 40 + "]" * 40))),
    "half a surrogate pair": ("malformed", written('{"alg":"RS256","kid":"\\ud800"}')),
    "nothing": ("malformed", lambda _: ""),
    "dots": ("malformed", lambda _: ".."),
    "one part": ("malformed", cut(0, 1)),
    "two parts": ("malformed", cut(0, 2)),
    "without its first part": ("malformed", cut(1, None)),
    "five parts": ("malformed", lambda t: f"{t.token()}.AAAA.AAAA"),
    "with a space": ("malformed", lambda t: f" {t.token()}"),
    "with a line break": ("malformed", lambda t: f"{t.token()}\n"),
    "with its scheme": ("malformed", lambda t: f"Bearer {t.token()}"),
    "padded": ("malformed", lambda t: f"{t.token()}=="),
    "of another alphabet": ("malformed", lambda t: t.token().replace(".", "+.", 1)),
    "not ASCII": ("malformed", lambda t: t.token().replace(".", "é.", 1)),
    "with digits of another script": ("malformed", lambda t: t.token().replace(".", "٣.", 1)),
    "with half a surrogate pair": ("malformed", lambda t: t.token() + "\ud800"),
    "with a NUL": ("malformed", lambda t: t.token() + "\x00"),
    "an impossible length": ("malformed", lambda t: f"A.{t.token().partition('.')[2]}"),
    "cut short": ("malformed", lambda t: t.token()[:-1]),
    "cut very short": ("signature", lambda t: t.token()[:-2]),
    "too long": ("too_long", lambda t: t.token(pad="a" * 8000)),
    "far too long": ("too_long", lambda _: "a." * 4_000_000),
}


@pytest.mark.parametrize(("why", "make"), WRONG.values(), ids=WRONG.keys())
async def test_a_token_of_a_wrong_form_is_refused_like_any_other(why: str, make: Make) -> None:
    async with door() as it:
        assert await it.refuses(make(it.tokens)) == why


async def test_a_token_says_who_is_asking() -> None:
    async with door() as it:
        token = it.tokens.token(o={"id": "org_acme", "rol": "admin"}, name="Ada")
        found = await it.verify(token)
    assert (found.user_id, found.session_id) == ("user_2ada", "sess_2abc")
    assert (found.org_id, found.org_role) == ("org_acme", "admin")
    assert found.expires_at_s == NOW_S + 50
    assert found.claims == json.loads(it.tokens.claims(o=found.claims["o"], name="Ada"))


async def test_any_other_character_anywhere_breaks_a_token() -> None:
    async with door() as it:
        token = it.tokens.token()
        for place, character in enumerate(token):
            other = ALPHABET[(ALPHABET.find(character) + 1) % 64]
            await it.refuses(token[:place] + other + token[place + 1 :])
        assert await it.verify(token)


async def test_a_token_of_eight_kilobytes_is_opened() -> None:
    async with door() as it:
        empty = len(it.tokens.token(pad=""))
        token = it.tokens.token(pad="a" * ((8192 - empty) * 3 // 4 - 2))
        assert 8180 <= len(token) <= 8192
        assert await it.verify(token)


async def test_nobody_is_asked_for_a_key_that_a_token_points_to() -> None:
    async with door() as it, key_server(jwk(STRANGER)) as evil:
        there = {"jku": f"{evil.url}/.well-known/jwks.json", "x5u": f"{evil.url}/x"}
        it.clock.now += 10
        assert await it.refuses(by_a_stranger(**there, jwk=jwk(STRANGER))(it.tokens)) == "signature"
        assert await it.verify(it.tokens.token(header=there))
        assert evil.asked == []


async def test_a_new_key_under_the_old_name_ends_the_old_one() -> None:
    async with door() as it:
        new = TokenBuilder(it.tokens.issuer, STRANGER)
        it.issuer.publish(jwk(STRANGER))
        it.clock.now += 10
        assert await it.verify(new.token())
        assert await it.refuses(it.tokens.token()) == "signature"
        assert len(it.issuer.asked) == 2


async def test_a_thousand_forged_tokens_are_one_question_and_delay_nobody_else() -> None:
    async with door() as it:
        it.clock.now += 10
        it.issuer.open.clear()
        forged = by_a_stranger()(it.tokens)
        flood = [asyncio.create_task(it.refuses(forged)) for _ in range(1000)]
        await it.issuer.was_asked(2)
        assert await it.verify(it.tokens.token())
        await settle()
        assert sum(not task.done() for task in flood) == 32
        it.issuer.open.set()
        assert set(await asyncio.gather(*flood)) == {"signature"}
        assert len(it.issuer.asked) == 2


async def test_without_keys_a_good_token_is_not_called_a_bad_one() -> None:
    async with key_server() as issuer, KeySet(issuer.url, ManualClock()) as keys:
        verifier = ClerkTokenVerifier(keys, authorized_parties=[ORIGIN])
        with pytest.raises(IdentityUnavailable):
            await verifier.verify(TokenBuilder(issuer.url, rsa_key("one")).token())
