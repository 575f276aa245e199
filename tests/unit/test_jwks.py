"""Keys are found without waiting, renewed once for all, and outlast an outage for an hour."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from backend.errors import IdentityUnavailable, SettingsInvalid, Unauthenticated
from backend.integrations.clerk.jwks import KeySet
from tests.support.key_server import KeyServer, key_server
from tests.support.manual_clock import ManualClock, settle
from tests.support.token_builder import KID, jwk, rsa_key

ONE, OTHER = rsa_key("one"), rsa_key("other")


@dataclass
class Bench:
    """A set of keys, its issuer, and the time."""

    issuer: KeyServer
    clock: ManualClock
    keys: KeySet

    async def rest(self) -> None:
        """The refresh under way, if one is, has ended."""
        with pytest.raises((Unauthenticated, IdentityUnavailable)):
            await self.keys.find("nobody")

    async def has(self, kid: str) -> bool:
        try:
            return bool(await self.keys.find(kid))
        except Unauthenticated as error:
            if error.why != "unknown_key":
                raise
            return False

    @property
    def asked(self) -> int:
        return len(self.issuer.asked)


@asynccontextmanager
async def opened(issuer: KeyServer, timeout_s: float = 30) -> AsyncIterator[Bench]:
    clock = ManualClock()
    async with KeySet(issuer.url, clock, timeout_s=timeout_s) as keys:
        yield Bench(issuer, clock, keys)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Yield a set that has just fetched one key."""
    async with key_server(jwk(ONE)) as issuer, opened(issuer) as made:
        await made.rest()
        yield made


async def test_the_issuer_is_asked_once_before_anybody_needs_a_key() -> None:
    async with key_server(jwk(ONE)) as issuer, opened(issuer) as it:
        await issuer.was_asked(1)
        assert await it.keys.find(KID) == await it.keys.find(KID) == ONE.public_key()
        assert it.asked == 1
    assert issuer.asked[0].startswith(b"GET /.well-known/jwks.json HTTP/1.1\r\n")


async def test_an_unknown_name_is_asked_for_once_in_ten_seconds() -> None:
    async with bench() as it:
        for later_s, asked in ((0, 1), (9.9, 1), (0.1, 2), (9.9, 2), (0.1, 3)):
            it.clock.now += later_s
            assert not await it.has("ins_unknown")
            assert it.asked == asked


async def test_a_new_key_is_found_by_its_new_name() -> None:
    async with bench() as it:
        it.issuer.publish(jwk(ONE), jwk(OTHER, "ins_new"))
        it.clock.now += 10
        assert await it.keys.find("ins_new") == OTHER.public_key()
        assert await it.keys.find(KID) == ONE.public_key()
        assert it.asked == 2


async def test_a_thousand_unknown_names_are_one_question_and_delay_nobody_else() -> None:
    async with bench() as it:
        it.clock.now += 10
        it.issuer.open.clear()
        flood = [asyncio.create_task(it.has(f"ins_{number}")) for number in range(1000)]
        await it.issuer.was_asked(2)
        assert await it.keys.find(KID) == ONE.public_key()
        await settle()
        assert sum(not task.done() for task in flood) == 32
        it.issuer.open.set()
        assert not any(await asyncio.gather(*flood))
        assert it.asked == 2


async def test_a_set_is_renewed_behind_the_backs_of_those_who_use_it() -> None:
    async with bench() as it:
        it.issuer.publish(jwk(OTHER, "ins_new"))
        it.issuer.open.clear()
        it.clock.now += 299.9
        await it.keys.find(KID)
        assert it.asked == 1
        it.clock.now += 0.1
        for _ in range(3):
            assert await it.keys.find(KID) == ONE.public_key()
        await it.issuer.was_asked(2)
        it.issuer.open.set()
        await it.rest()
        assert (await it.has(KID), await it.has("ins_new"), it.asked) == (False, True, 2)


async def test_a_set_is_as_old_as_the_question() -> None:
    async with key_server(jwk(ONE)) as issuer, opened(issuer) as it:
        issuer.open.clear()
        await issuer.was_asked(1)
        it.clock.now += 300
        issuer.open.set()
        await it.rest()
        await it.keys.find(KID)
        await issuer.was_asked(2)


async def test_known_keys_outlast_an_outage_for_an_hour() -> None:
    async with bench() as it:
        it.issuer.hang_up()
        for later_s in (300, 3000, 299.9):
            it.clock.now += later_s
            assert await it.has(KID)
            await it.rest()
        it.clock.now += 0.1
        for _ in range(3):
            with pytest.raises(IdentityUnavailable):
                await it.keys.find(KID)
        assert it.asked == 4
        it.issuer.publish(jwk(ONE))
        it.clock.now += 10
        assert await it.has(KID)


async def test_an_issuer_that_is_away_is_asked_once_in_ten_seconds() -> None:
    async with bench() as it:
        it.issuer.answer(b"", status="503 Service Unavailable")
        it.clock.now += 300
        for later_s, asked in ((0, 2), (9.9, 2), (0.1, 3)):
            it.clock.now += later_s
            assert await it.has(KID)
            await it.rest()
            assert (await it.has("ins_unknown"), it.asked) == (False, asked)


async def test_without_any_set_nobody_can_be_told_right_from_wrong() -> None:
    async with key_server() as issuer, opened(issuer) as it:
        for _ in range(3):
            with pytest.raises(IdentityUnavailable, match="cannot be had now"):
                await it.keys.find(KID)
        assert it.asked == 1
        issuer.publish(jwk(ONE))
        it.clock.now += 10
        assert await it.has(KID)


async def test_after_an_hour_without_requests_the_first_one_waits_for_the_new_set() -> None:
    async with bench() as it:
        it.issuer.publish(jwk(OTHER, "ins_new"))
        it.clock.now += 3600
        assert not await it.has(KID)
        assert await it.keys.find("ins_new") == OTHER.public_key()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"keys": []}', b'{"keys": {}}', b"[]"])
async def test_an_answer_without_keys_changes_nothing(body: bytes) -> None:
    async with bench() as it:
        it.issuer.answer(body)
        it.clock.now += 10
        assert not await it.has("ins_unknown")
        assert (await it.has(KID), it.asked) == (True, 2)


async def test_a_key_under_an_old_name_is_found_once_the_old_one_fails() -> None:
    async with bench() as it:
        known = await it.keys.find(KID)
        it.issuer.publish(jwk(OTHER))
        assert await it.keys.find_other(KID, known) is None
        it.clock.now += 10
        assert await it.keys.find_other(KID, known) == OTHER.public_key()
        assert await it.keys.find(KID) == OTHER.public_key()


async def test_the_same_key_again_is_no_other() -> None:
    async with bench() as it:
        known = await it.keys.find(KID)
        it.clock.now += 10
        assert await it.keys.find_other(KID, known) is None
        assert it.asked == 2


async def test_who_leaves_does_not_end_the_refresh_for_the_others() -> None:
    async with bench() as it:
        it.issuer.publish(jwk(OTHER, "ins_new"))
        it.issuer.open.clear()
        it.clock.now += 10
        leaving, staying = (asyncio.create_task(it.has("ins_new")) for _ in range(2))
        await it.issuer.was_asked(2)
        leaving.cancel()
        await asyncio.wait({leaving})
        it.issuer.open.set()
        assert await staying
        assert leaving.cancelled()


async def test_closing_sends_waiting_requests_away_and_asks_nothing_more() -> None:
    async with key_server(jwk(ONE)) as issuer:
        issuer.open.clear()
        async with asyncio.timeout(4), opened(issuer) as it:
            waiting = asyncio.create_task(it.keys.find(KID))
            await issuer.was_asked(1)
        with pytest.raises(IdentityUnavailable):
            await waiting
        it.clock.now += 10
        late = asyncio.create_task(it.keys.find(KID))
        await asyncio.sleep(0)
        assert "keys" not in {task.get_name() for task in asyncio.all_tasks()}
        with pytest.raises(IdentityUnavailable):
            await late


async def test_an_issuer_that_does_not_answer_is_given_up() -> None:
    async with key_server(jwk(ONE)) as issuer:
        issuer.open.clear()
        async with opened(issuer, timeout_s=0.05) as it:
            with pytest.raises(IdentityUnavailable):
                await it.keys.find(KID)


async def test_the_log_tells_counts_and_codes_only() -> None:
    with capture_logs() as said:
        async with bench() as it:
            it.issuer.answer(b"{", status="500 user_2ada")
            it.clock.now += 10
            await it.has("ins_unknown")
    assert said == [
        {"event": "keys.refreshed", "log_level": "info", "keys": 1},
        {"event": "keys.refresh_failed", "log_level": "warning", "code": "status_500", "kept": 1},
    ]


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "clerk.example.com",
        "//clerk.example.com",
        "http://clerk.example.com",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "ftp://127.0.0.1",
        "https:",
        "https://",
        "https://clerk.example.com/",
        "https://clerk.example.com?",
        "https://clerk.example.com/?next=",
        "https://clerk.example.com#",
        "https://clerk.example.com:99999",
        "https://ada:s3cret@clerk.example.com",
        "https://Clerk.example.com",
        "https://clerk.example.com/a b",
        "https://clerk.example.com\n",
    ],
)
def test_an_issuer_whose_keys_cannot_be_trusted_is_refused_at_start(issuer: str) -> None:
    with pytest.raises(SettingsInvalid, match="CLERK_ISSUER") as refused:
        KeySet(issuer, ManualClock())
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "issuer",
    [
        "https://clerk.example.com",
        "https://clerk.example.com:8443",
        "https://app.example.com/__clerk",
        "http://127.0.0.1:8791",
        "http://[::1]:8791",
        "http://localhost:8791",
    ],
)
async def test_an_issuer_is_an_https_address_or_this_machine(issuer: str) -> None:
    assert KeySet(issuer, ManualClock()).issuer == issuer
