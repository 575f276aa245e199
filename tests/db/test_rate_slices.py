"""One key's requests and tokens a minute, handed out in slices to whoever asks."""

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.rate_asker import OTHER, RateAsker, spend


@pytest.fixture
def asker(chat: Chat) -> RateAsker:
    return RateAsker(chat.worker)


async def let_time_pass(chat: Chat, seconds: float) -> None:
    await chat.admin.execute(
        "update engine.rate_limits set counted_at = counted_at - make_interval(secs => $1),"
        " promised_until = promised_until - make_interval(secs => $1)",
        seconds,
    )


async def test_six_seconds_worth_are_free_at_once_and_then_a_second_each(
    chat: Chat, asker: RateAsker
) -> None:
    assert await spend(asker) == 6
    assert await spend(asker) == 0
    await let_time_pass(chat, 3.2)
    assert await spend(asker) == 3
    await let_time_pass(chat, 3600)
    assert await spend(asker) == 6


async def test_no_minute_but_the_first_sees_more_than_the_limit(
    chat: Chat, asker: RateAsker
) -> None:
    asked = 0
    for _ in range(60):
        asked += await spend(asker)
        await let_time_pass(chat, 1)
    assert 60 <= asked <= 66


async def test_workers_share_what_there_is(chat: Chat, asker: RateAsker) -> None:
    other = RateAsker(chat.new_worker("worker_2"))
    granted = [await it.lease(most=4) for it in (asker, other)]
    assert [it["requests"] for it in granted] == [4, 2]


async def test_keys_and_models_have_limits_of_their_own(chat: Chat, asker: RateAsker) -> None:
    await spend(asker)
    assert await spend(RateAsker(chat.worker, key=OTHER)) == 6
    assert (await asker.lease(models="anthropic:*"))["is_granted"]


async def test_what_was_not_used_comes_back(asker: RateAsker) -> None:
    await spend(asker)
    assert (await asker.lease(most=1000, back=[4, 0]))["requests"] == 4


async def test_who_waits_a_little_is_told_when_and_nobody_else_gets_that(
    chat: Chat, asker: RateAsker
) -> None:
    await spend(asker)
    waits = [(await asker.lease(patience_s=5))["wait_s"] for _ in range(3)]
    assert [round(it) for it in waits] == [1, 2, 3]
    await let_time_pass(chat, 3)
    assert await spend(asker) == 0


async def test_who_cannot_wait_so_long_gets_a_turn_of_its_own(asker: RateAsker) -> None:
    await spend(asker)
    answers = [await asker.lease() for _ in range(4)]
    assert not any(it["is_granted"] for it in answers)
    assert [round(it["wait_s"]) for it in answers] == [1, 2, 3, 4]


async def test_who_was_told_to_come_back_goes_before_who_was_not(asker: RateAsker) -> None:
    await spend(asker)
    await asker.lease()
    assert not (await asker.lease(patience_s=5))["is_granted"]
    assert (await asker.lease(patience_s=5, is_back=True))["is_granted"]


async def test_tokens_are_limited_too_and_the_scarcer_of_the_two_counts(chat: Chat) -> None:
    asker = RateAsker(chat.worker, rpm=6000, tpm=6000)
    assert (await asker.lease(1, 500))["is_granted"]
    answer = await asker.lease(1, 300, patience_s=5)
    assert answer["is_granted"]
    assert 1.9 < answer["wait_s"] < 2.1


async def test_a_request_larger_than_a_minute_of_tokens_waits_for_a_minute(chat: Chat) -> None:
    asker = RateAsker(chat.worker, rpm=None, tpm=6000)
    answer = await asker.lease(1, 50_000)
    assert 53 < answer["wait_s"] <= 54


async def test_an_answer_that_took_more_than_was_expected_is_counted(chat: Chat) -> None:
    asker = RateAsker(chat.worker, rpm=None, tpm=6000)
    await asker.lease(1, 500)
    answer = await asker.lease(1, 100, back=[0, -400], patience_s=9)
    assert 3.9 < answer["wait_s"] < 4.1


async def test_without_a_limit_of_tokens_there_are_always_enough(asker: RateAsker) -> None:
    answer = await asker.lease(1, 1_000_000, most=2)
    assert (answer["requests"], answer["tokens"]) == (2, 2_000_000)


async def test_a_refusal_of_the_provider_closes_the_key_for_all_workers(
    chat: Chat, asker: RateAsker
) -> None:
    await asker.close(30)
    await asker.close(20)
    other = RateAsker(chat.new_worker("worker_2"))
    answer = await other.lease(patience_s=5)
    assert not answer["is_granted"]
    assert 30 < answer["wait_s"] <= 31
    await let_time_pass(chat, 31.5)
    assert await spend(other) == 1


async def test_the_key_itself_is_refused_and_its_salt_is_the_same_for_all(chat: Chat) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await RateAsker(chat.worker, key="sk-proj-secret").lease()
    salts = [
        await it.call("lease_rate", "", None, None, None, None, 0.0, False, None, None)
        for it in (chat.worker, chat.new_worker("worker_2"))
    ]
    assert salts[0] == salts[1]
    assert len(salts[0]["salt"]) == 36
