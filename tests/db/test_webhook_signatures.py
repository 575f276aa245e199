"""The webhook's signature, made in SQL: HMAC-SHA-256 and Standard Webhooks 1.0."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.driving import driven, examples

_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

# RFC 4231, 4.2 to 4.8: key, data, HMAC-SHA-256.
_VECTORS = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        (
            b"This is a test using a larger than block-size key and a larger than block-size data."
            b" The key needs to be hashed before being used by the HMAC algorithm."
        ),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(("key", "data", "expected"), _VECTORS)
async def test_the_hmac_is_that_of_the_rfc(
    empty_chat: Chat, key: bytes, data: bytes, expected: str
) -> None:
    found = await empty_chat.admin.fetchval("select engine.hmac_sha256($1, $2)", key, data)

    assert found.hex().startswith(expected)


def test_the_hmac_is_that_of_another_implementation(kept_database: Database) -> None:
    with driven(kept_database) as (chat, run):

        @examples(100)
        @given(st.binary(max_size=200), st.binary(max_size=300))
        def holds(key: bytes, data: bytes) -> None:
            found = run(chat.admin.fetchval("select engine.hmac_sha256($1, $2)", key, data))
            assert found == hmac.digest(key, data, "sha256")

        holds()


def test_a_signature_is_that_of_the_official_library(kept_database: Database) -> None:
    characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])

    with driven(kept_database) as (chat, run):

        @examples(100)
        @given(
            st.binary(min_size=24, max_size=64),
            st.uuids(),
            st.integers(0, 4_000_000_000),
            st.text(characters, max_size=200),
        )
        def holds(key: bytes, identity: UUID, at: int, body: str) -> None:
            secret = "whsec_" + base64.b64encode(key).decode()
            expected = Webhook(secret).sign(str(identity), datetime.fromtimestamp(at, UTC), body)
            assert run(_sign(chat, secret, str(identity), at, body)) == expected

        holds()


async def test_a_secret_may_hold_the_line_breaks_of_postgresqls_base64(empty_chat: Chat) -> None:
    secret = await empty_chat.admin.fetchval(
        "select 'whsec_' || encode(sha512('a'), 'base64')"  # 88 characters
    )

    assert "\n" in secret
    assert await _sign(empty_chat, secret, "a", 1, "{}") == Webhook(
        hashlib.sha512(b"a").digest()
    ).sign("a", datetime.fromtimestamp(1, UTC), "{}")


@pytest.mark.parametrize(
    "secret",
    [
        None,
        "",
        "whsec_",
        _SECRET.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_" + "ä" * 44,
        _SECRET.rstrip("="),
    ],
)
async def test_what_is_no_secret_signs_nothing(empty_chat: Chat, secret: str | None) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await _sign(empty_chat, secret, "a", 1, "{}")


async def _sign(chat: Chat, secret: str | None, identity: str, at: int, body: str) -> Any:
    sql = "select engine.sign_webhook($1, $2, $3, $4)"
    return await chat.admin.fetchval(sql, secret, identity, at, body)
