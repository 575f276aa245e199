"""A token holds for the right issuer, frontend, user and moment only."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devkit.issuer import Issuer
from backend.devkit.ports import choose
from backend.devkit.tokens import Subject, mint
from backend.errors import Unauthenticated
from backend.integrations.clerk.jwks import KeySet
from backend.integrations.clerk.token_claims import read_claims
from backend.integrations.clerk.tokens import ClerkTokenVerifier
from backend.ports.clock import SystemClock
from tests.support.token_builder import LEFT_OUT, NOW_S, ORIGIN, TokenBuilder, rsa_key
from tests.support.verifying import Make, door

NO_TIMES = [LEFT_OUT, None, True, "1800000050", [NOW_S], -1, 1e300, 253_402_300_800, 10**400]


def claims(**changes: Any) -> Make:
    return lambda tokens: tokens.token(**changes)


def written(old: str, new: str) -> Make:
    """Return a maker of tokens whose payload has other text in one place, properly signed."""

    def make(tokens: TokenBuilder) -> str:
        payload = tokens.claims().decode()
        assert old in payload
        return tokens.signed(tokens.header(), payload.replace(old, new).encode())

    return make


WRONG: Mapping[str, tuple[str, Make]] = {
    "another issuer": ("issuer", claims(iss="https://clerk.evil.example")),
    "an issuer with a slash": ("issuer", lambda t: t.token(iss=f"{t.issuer}/")),
    "an issuer in capitals": ("issuer", lambda t: t.token(iss=t.issuer.upper())),
    "a list of issuers": ("issuer", lambda t: t.token(iss=[t.issuer])),
    "no issuer": ("issuer", claims(iss=LEFT_OUT)),
    "expired": ("expired", claims(exp=NOW_S - 5)),
    "expired long ago": ("expired", claims(exp=0)),
    "not yet valid": ("not_yet_valid", claims(nbf=NOW_S + 5.1)),
    "issued later": ("issued_later", claims(iat=NOW_S + 5.1)),
    "another frontend": ("authorized_party", claims(azp="https://evil.example")),
    "a frontend below ours": ("authorized_party", claims(azp=f"{ORIGIN}.evil.example")),
    "a frontend with a slash": ("authorized_party", claims(azp=f"{ORIGIN}/")),
    "an empty frontend": ("authorized_party", claims(azp="")),
    "a null frontend": ("authorized_party", claims(azp=None)),
    "a list of frontends": ("authorized_party", claims(azp=[ORIGIN])),
    "pending": ("session_pending", claims(sts="pending")),
    "a status that is no text": ("session_pending", claims(sts=["active"])),
    "no role": ("role", claims(role=LEFT_OUT)),
    "the service's role": ("role", claims(role="service_role")),
    "a list of roles": ("role", claims(role=["authenticated"])),
    "no session": ("session", claims(sid=LEFT_OUT)),
    "an empty session": ("session", claims(sid="")),
    "a session that is no text": ("session", claims(sid=1)),
    "no subject": ("subject", claims(sub=LEFT_OUT)),
    "an empty subject": ("subject", claims(sub="")),
    "a null subject": ("subject", claims(sub=None)),
    "a subject that is a number": ("subject", claims(sub=2)),
    "a subject with a line break": ("subject", claims(sub="user_2ada\n")),
    "a subject with a NUL": ("malformed_claims", claims(sub="user_\x00")),
    "half a surrogate pair": ("malformed_claims", claims(sub="user_\ud800")),
    "a NUL anywhere": ("malformed_claims", claims(o={"list": [{"\x00": 1}]})),
    "a subject twice": ("malformed_claims", written('"sub":', '"sub": "user_2bob", "sub":')),
    "a member of a member twice": ("malformed_claims", written('"v": 2', '"o":{"id":1,"id":2}')),
    "no number": ("malformed_claims", written('"v": 2', '"v": NaN')),
    "infinity": ("malformed_claims", written('"v": 2', '"v": -Infinity')),
    "a number beyond all": ("malformed_claims", written('"v": 2', '"v": 1e999')),
    "a bottomless claim": ("malformed_claims", written('"v": 2', '"v":' + "[" * 3000)),
    "a deep claim": ("malformed_claims", claims(v=json.loads("[" * 20 + "]" * 20))),
    "a payload that is no object": ("malformed_claims", lambda t: t.signed(t.header(), b"[]")),
    "a payload that is no JSON": ("malformed_claims", lambda t: t.signed(t.header(), b"{")),
    "a payload that is no text": ("malformed_claims", lambda t: t.signed(t.header(), b"\xff\xfe")),
    "an organisation that is no object": ("organisation", claims(o="org_acme")),
    "an organisation that is no text": ("organisation", claims(o={"id": 7})),
    "a role in it that is no text": ("organisation", claims(org_id="org_a", org_role=["admin"])),
    "a subject with the id of an organisation": ("subject", claims(sub="org_acme")),
    "an organisation with the id of a user": ("organisation", claims(o={"id": "user_ada"})),
    "two organisations": ("organisation", claims(org_id="org_acme", o={"id": "org_other"})),
    **{
        f"{name}: {str(value)[:24]}": (f"malformed_{name}", claims(**{name: value}))
        for name in ("exp", "nbf", "iat")
        for value in NO_TIMES
    },
}

HOLDS: Mapping[str, dict[str, Any]] = {
    "as it is": {},
    "just not expired": {"exp": NOW_S - 4.9},
    "just valid": {"nbf": NOW_S + 5},
    "just issued": {"iat": NOW_S + 5},
    "times with fractions": {"exp": NOW_S + 0.5, "nbf": NOW_S - 0.5, "iat": NOW_S - 0.5},
    "for an audience": {"aud": "https://other.example"},
    "without a frontend": {"azp": LEFT_OUT},
    "without a status": {"sts": LEFT_OUT},
    "of version 1": {"v": LEFT_OUT, "sts": LEFT_OUT, "fva": LEFT_OUT},
    "of an impersonator": {"act": {"sub": "user_2eve"}},
    "of another alphabet": {"sub": "o'Hara\"; drop table messages; -- \\ ü 😀 %_$1"},
    "with an escaped backslash": {"name": "\\u0000"},
}

ORGANISATIONS: list[tuple[dict[str, Any], tuple[str | None, str | None]]] = [
    ({}, (None, None)),
    ({"o": {"id": "org_acme", "rol": "admin", "slg": "acme"}}, ("org_acme", "admin")),
    ({"o": {"id": "org_acme"}}, ("org_acme", None)),
    ({"o": {}}, (None, None)),
    ({"o": None}, (None, None)),
    ({"org_id": "org_acme", "org_role": "org:admin"}, ("org_acme", "admin")),
    ({"org_id": "org_acme", "org_role": "org:org:own"}, ("org_acme", "org:own")),
    ({"org_id": "org_acme"}, ("org_acme", None)),
    ({"org_id": None, "org_role": None}, (None, None)),
    ({"org_id": "", "org_role": "org:admin"}, (None, None)),
    ({"org_id": "org_acme", "o": {"id": "org_acme", "rol": "member"}}, ("org_acme", "member")),
]


@pytest.mark.parametrize(("why", "make"), WRONG.values(), ids=WRONG.keys())
async def test_a_token_that_does_not_hold_is_refused_like_any_other(why: str, make: Make) -> None:
    async with door() as it:
        assert await it.refuses(make(it.tokens)) == why


@pytest.mark.parametrize("changes", HOLDS.values(), ids=HOLDS.keys())
async def test_a_token_holds(changes: dict[str, Any]) -> None:
    async with door() as it:
        found = await it.verify(it.tokens.token(**changes))
    assert found.user_id == changes.get("sub", "user_2ada")
    assert found.expires_at_s == int(changes.get("exp", NOW_S + 50))


@pytest.mark.parametrize(("changes", "found"), ORGANISATIONS)
async def test_the_active_organisation_is_read_from_both_versions(
    changes: dict[str, Any], found: tuple[str | None, str | None]
) -> None:
    async with door() as it:
        who = await it.verify(it.tokens.token(**changes))
    assert (who.org_id, who.org_role) == found


async def test_without_origins_only_tokens_that_name_none_are_taken() -> None:
    async with door(parties=()) as it:
        assert await it.refuses(it.tokens.token()) == "authorized_party"
        assert await it.verify(it.tokens.token(azp=LEFT_OUT))


async def test_each_of_several_origins_is_taken() -> None:
    async with door(parties=["https://a.example", ORIGIN]) as it:
        assert await it.verify(it.tokens.token())
        assert await it.verify(it.tokens.token(azp="https://a.example"))


async def test_a_token_ends_five_seconds_after_its_time() -> None:
    async with door(now_s=NOW_S + 54.9) as it:
        assert await it.verify(it.tokens.token())
    async with door(now_s=NOW_S + 55) as it:
        assert await it.refuses(it.tokens.token()) == "expired"


async def test_a_token_of_the_local_issuer_holds() -> None:
    issuer = Issuer(rsa_key("one"), choose(None))
    issuer.start()
    try:
        async with KeySet(issuer.url, SystemClock()) as keys:
            verifier = ClerkTokenVerifier(
                keys, authorized_parties=["http://localhost:5173"], now_s=lambda: NOW_S
            )
            who = Subject("user_ada", "org_acme", "admin")
            found = await verifier.verify(mint(rsa_key("one"), issuer.url, who, now_s=NOW_S))
    finally:
        issuer.stop()
    assert (found.user_id, found.org_id, found.org_role) == ("user_ada", "org_acme", "admin")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = ["iss", "sub", "sid", "azp", "sts", "role", "exp", "nbf", "iat", "o", "org_id", "org_role"]


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, values)))
def test_whatever_a_payload_says_it_is_understood_or_refused(changes: dict[str, Any]) -> None:
    payload = TokenBuilder("https://clerk.example.com", rsa_key("one")).claims(**changes)
    try:
        found = read_claims(
            payload,
            issuer="https://clerk.example.com",
            authorized_parties=frozenset({ORIGIN}),
            now_s=NOW_S,
        )
    except Unauthenticated:
        return
    assert found.user_id
    json.dumps(found.claims, allow_nan=False).encode()
