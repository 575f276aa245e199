"""Of what an issuer answers, only keys that may sign tokens are taken, and never too much."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.integrations.clerk.published_keys import (
    KeysNotFetched,
    PublishedKeys,
    fetch_keys,
    jwks_url,
    open_client,
)
from backend.integrations.clerk.published_keys import read_keys as read
from tests.support.key_server import KeyServer, key_server
from tests.support.token_builder import KID, LEFT_OUT, jwk, rsa_key

GOOD = jwk(rsa_key("one"))
ELLIPTIC = {"kty": "EC", "crv": "P-256", "x": GOOD["n"], "y": GOOD["n"]}
UNUSABLE: dict[str, Any] = {
    "no object": "key",
    "nothing in it": {},
    "another kind": jwk(rsa_key("one"), **ELLIPTIC),
    "a shared secret": {"kty": "oct", "kid": KID, "k": "c2VjcmV0", "alg": "RS256"},
    "for encryption": jwk(rsa_key("one"), use="enc"),
    "for another algorithm": jwk(rsa_key("one"), alg="RS512"),
    "without a name": jwk(rsa_key("one"), kid=LEFT_OUT),
    "with an empty name": jwk(rsa_key("one"), kid=""),
    "named by a number": jwk(rsa_key("one"), kid=1),
    "too short": jwk(rsa_key("short", 1024)),
    "too long": jwk(rsa_key("one"), n="_" * 1400),
    "without a modulus": jwk(rsa_key("one"), n=LEFT_OUT),
    "a number for a modulus": jwk(rsa_key("one"), n=3),
    "no base64": jwk(rsa_key("one"), n="é"),
    "an even exponent": jwk(rsa_key("one"), e="AQAC"),
    "an empty exponent": jwk(rsa_key("one"), e=""),
    "with its private half": jwk(rsa_key("one"), d="AQAB"),
    "with a prime of it": jwk(rsa_key("one"), p="AQAB"),
}
NO_KEY_SETS: dict[str, tuple[str, bytes]] = {
    "nothing": ("malformed", b""),
    "a page": ("malformed", b"<html></html>"),
    "a list": ("malformed", b"[]"),
    "no keys": ("malformed", b"{}"),
    "keys that are no list": ("malformed", b'{"keys": {"kid": "x"}}'),
    "keys twice": ("malformed", b'{"keys": [], "keys": []}'),
    "no number": ("malformed", b'{"keys": [], "ttl": NaN}'),
    "too deep": ("malformed", b'{"keys": ' + b"[" * 100_000),
    "sixteen bits a letter": ("malformed", '{"keys": []}'.encode("utf-16")),
    "empty": ("no_usable_key", b'{"keys": []}'),
    "too many": ("too_many_keys", json.dumps({"keys": [GOOD] * 101}).encode()),
}


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize("key", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_key_that_may_not_sign_tokens_is_ignored(key: Any) -> None:
    with pytest.raises(KeysNotFetched, match="no_usable_key"):
        read(key_set(key))
    assert read(key_set(key, GOOD)) == {KID: rsa_key("one").public_key()}


@pytest.mark.parametrize("changes", [{"use": LEFT_OUT}, {"alg": LEFT_OUT}, {"x5c": ["", "é"]}])
def test_a_key_need_not_say_what_it_is_for(changes: dict[str, Any]) -> None:
    assert read(key_set(jwk(rsa_key("one"), **changes))) == {KID: rsa_key("one").public_key()}


def test_of_two_keys_with_one_name_the_first_counts() -> None:
    assert read(key_set(GOOD, jwk(rsa_key("other")))) == {KID: rsa_key("one").public_key()}


def test_a_hundred_keys_are_read() -> None:
    keys = [jwk(rsa_key("one"), f"ins_{number}") for number in range(100)]
    assert len(read(key_set(*keys))) == 100


@pytest.mark.parametrize(("code", "body"), NO_KEY_SETS.values(), ids=NO_KEY_SETS.keys())
def test_what_is_no_key_set_is_refused(code: str, body: bytes) -> None:
    with pytest.raises(KeysNotFetched) as refused:
        read(body)
    assert refused.value.code == code


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(GOOD)), inner),
    max_leaves=8,
)


@given(
    st.binary()
    | st.builds(
        lambda changes: key_set({**GOOD, **changes}),
        st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, values)),
    )
)
def test_any_document_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(KeysNotFetched):
        assert read(body)


async def fetched(issuer: KeyServer, timeout_s: float = 10) -> PublishedKeys:
    async with open_client() as client:
        return await fetch_keys(client, jwks_url(issuer.url), timeout_s=timeout_s)


async def test_a_key_set_is_fetched_as_it_is() -> None:
    async with key_server(GOOD) as issuer:
        assert await fetched(issuer) == PublishedKeys({KID: rsa_key("one").public_key()}, None)
    assert b"accept-encoding: identity\r\n" in issuer.asked[0].lower()


@pytest.mark.parametrize("status", ["204 No Content", "404 Not Found", "503 Unavailable"])
async def test_only_200_is_an_answer(status: str) -> None:
    async with key_server() as issuer:
        issuer.answer(key_set(GOOD), status=status)
        with pytest.raises(KeysNotFetched, match=f"status_{status[:3]}"):
            await fetched(issuer)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    async with key_server() as issuer, key_server(GOOD) as other:
        issuer.answer(b"", status=status, headers=f"Location: {jwks_url(other.url)}\r\n")
        with pytest.raises(KeysNotFetched, match=f"status_{status[:3]}"):
            await fetched(issuer)
        assert (len(issuer.asked), other.asked) == (1, [])


async def test_a_document_may_have_256_kilobytes() -> None:
    async with key_server() as issuer:
        issuer.answer(key_set(GOOD).ljust(256_000))
        assert (await fetched(issuer)).by_kid
        issuer.answer(key_set(GOOD).ljust(256_001))
        with pytest.raises(KeysNotFetched, match="too_large"):
            await fetched(issuer)


async def test_a_document_without_end_is_cut_by_time_not_by_its_pauses() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        issuer = KeyServer()
        issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(KeysNotFetched, match="timeout"):
            await fetched(issuer, timeout_s=0.05)


async def test_an_issuer_that_hangs_up_is_unreachable() -> None:
    async with key_server() as issuer:
        issuer.hang_up()
        with pytest.raises(KeysNotFetched, match="unreachable"):
            await fetched(issuer)


async def test_this_machine_is_asked_directly_whatever_proxy_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with key_server(GOOD) as issuer:
        assert (await fetched(issuer)).by_kid
