"""What the members of an organisation may insert together."""

import asyncpg
import pytest

from tests.support.browser import Browser
from tests.support.chat import Chat
from tests.support.identities import user
from tests.support.refusals import refused


def member(chat: Chat, name: str, org: str = "org_1") -> Browser:
    return chat.browser(user(f"user_{name}", org_id=org))


@pytest.mark.parametrize(
    ("limit", "wait_s", "said"),
    [
        ("org_messages_per_minute", 30, "messages: the limit is 2 a minute per organisation"),
        ("org_messages_per_day", 43200, "messages: the limit is 2 a day per organisation"),
        ("org_open_runs", 5, "open runs: the limit is 2 at a time per organisation"),
    ],
)
async def test_members_share_the_places_of_their_organisation(
    chat: Chat, limit: str, wait_s: int, said: str
) -> None:
    await chat.configure(**{limit: 2})
    ada, bob = member(chat, "ada"), member(chat, "bob")
    await ada.say(await ada.start_session())
    session = await bob.start_session()
    await bob.say(session)

    refusal = await refused(bob.say(session))

    assert (refusal.limit, refusal.wait_s) == (limit, wait_s)
    assert refusal.said == f"Too many {said}. Try again in {wait_s} s."
    assert len(await chat.messages(session)) == len(await chat.runs(session)) == 1


async def test_other_organisations_and_personal_sessions_are_not_concerned(chat: Chat) -> None:
    await chat.configure(org_messages_per_minute=1)
    ada = member(chat, "ada")
    await ada.say(await ada.start_session())

    personal, elsewhere = chat.browser(user("user_ada")), member(chat, "ada", "org_2")
    for who in (personal, elsewhere):
        await who.say(await who.start_session())

    await refused(ada.say(await ada.start_session()))


async def test_a_user_has_one_set_of_places_in_all_organisations(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=1)
    ada = member(chat, "ada")
    await ada.say(await ada.start_session())

    for who in (member(chat, "ada", "org_2"), chat.browser(user("user_ada"))):
        assert (await refused(who.say(await who.start_session()))).limit == (
            "user_messages_per_minute"
        )


async def test_in_a_session_of_the_organisation_every_member_counts(chat: Chat) -> None:
    await chat.configure(org_messages_per_minute=1)
    session = await member(chat, "ada").start_session()
    await member(chat, "ada").say(session)

    for name in ("ada", "bob"):
        assert (await refused(member(chat, name).say(session))).limit == "org_messages_per_minute"


async def test_answering_again_counts_for_the_organisation(chat: Chat) -> None:
    ada = member(chat, "ada")
    message = await ada.say(await ada.start_session())
    await chat.worker.finish(await chat.worker.claim_one())
    await chat.configure(org_messages_per_minute=1)
    await ada.regenerate(message)
    await chat.worker.finish(await chat.worker.claim_one())

    assert (await refused(ada.regenerate(message))).limit == "org_messages_per_minute"


async def test_of_user_and_organisation_the_one_that_takes_longest_is_named(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=1, org_messages_per_day=2)
    ada = member(chat, "ada")
    session = await ada.start_session()
    await ada.say(session)
    await chat.let_time_pass(60)
    await ada.say(session)

    assert (await refused(ada.say(session))).limit == "org_messages_per_day"


async def test_more_at_once_than_an_organisation_is_ever_admitted_is_not_told_to_come_back(
    chat: Chat,
) -> None:
    await chat.configure(org_messages_per_minute=2)
    ada = member(chat, "ada")

    with pytest.raises(asyncpg.CheckViolationError, match="limit is 2 a minute per organisation"):
        await ada.say_all(await ada.start_session(), "a", "b", "c")


async def test_what_slips_in_before_the_end_of_a_transaction_is_refused_there(chat: Chat) -> None:
    await chat.configure(org_messages_per_minute=1)
    settle = "select engine.settle_runs('org_1', 1)"
    await chat.admin.execute(settle)

    assert (await refused(chat.admin.execute(settle))).limit == "org_messages_per_minute"
