"""The doctor finds an issuer sound exactly where the service could use its keys."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from backend.integrations.clerk.checks import check_issuer
from tests.support.key_server import key_server
from tests.support.token_builder import jwk, rsa_key


@pytest.mark.parametrize(("late_s", "is_ok"), [(0, True), (60, False), (-60, False)])
async def test_an_issuers_clock_is_compared_with_ours(late_s: int, *, is_ok: bool) -> None:
    async with key_server() as issuer:
        date = format_datetime(datetime.now(UTC) - timedelta(seconds=late_s), usegmt=True)
        keys = json.dumps({"keys": [jwk(rsa_key("one"))]}).encode()
        issuer.answer(keys, headers=f"Date: {date}\r\n")
        found, clock = await check_issuer(issuer.url)
    assert (found.ok, clock.ok) == (True, is_ok)


async def test_an_issuer_that_is_not_there_is_not_sound() -> None:
    (check,) = await check_issuer("http://127.0.0.1:1")
    assert check.level == "fail"


@pytest.mark.parametrize("date", ["", "Date: some day\r\n"])
async def test_an_issuer_that_tells_no_time_is_sound(date: str) -> None:
    async with key_server() as issuer:
        issuer.answer(json.dumps({"keys": [jwk(rsa_key("one"))]}).encode(), headers=date)
        keys, clock = await check_issuer(issuer.url)
    assert (keys.ok, keys.found) == (True, "1 keys")
    assert (clock.ok, clock.found) == (True, "the issuer tells no time")


async def test_a_clock_that_names_no_zone_is_compared() -> None:
    async with key_server() as issuer:
        date = "Date: Sat, 01 Jan 2000 00:00:00 -0000\r\n"
        issuer.answer(json.dumps({"keys": [jwk(rsa_key("one"))]}).encode(), headers=date)
        _, clock = await check_issuer(issuer.url)
    assert not clock.ok


@pytest.mark.parametrize(
    "body", ['{"keys": []}', '{"keys": ["one"]}', '{"keys": [{"kty": "RSA", "kid": "one"}]}']
)
async def test_an_issuer_whose_keys_cannot_be_used_is_not(body: str) -> None:
    async with key_server() as issuer:
        issuer.answer(body.encode())
        (check,) = await check_issuer(issuer.url)
    assert (check.ok, "no_usable_key" in check.found) == (False, True)


async def test_an_issuer_that_the_service_would_refuse_is_not() -> None:
    (check,) = await check_issuer("https://ada:s3cret@clerk.example.com/")
    assert not check.ok
    assert "s3cret" not in check.found + check.advice
