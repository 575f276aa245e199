"""Whatever a user does and whenever: the database admits what a bucket of paper admits."""

from collections.abc import Iterator
from typing import TypeAlias
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.driving import Run, driven, examples
from tests.support.identities import user
from tests.support.refusals import refused

LIMIT, PERIOD_S = 3, 60
# So far apart that the time which the test itself takes makes no difference.
STEP_S = 5

Deed: TypeAlias = tuple[str, int]
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, LIMIT)),
        st.tuples(st.just("wait"), st.integers(1, 16).map(lambda steps: steps * STEP_S)),
    ),
    max_size=20,
)


@pytest.fixture
def people(kept_database: Database) -> Iterator[tuple[Chat, Run]]:
    with driven(kept_database) as made:
        yield made


def test_a_user_is_admitted_exactly_what_the_limit_says(people: tuple[Chat, Run]) -> None:
    chat, run = people
    run(chat.configure(user_messages_per_minute=LIMIT))

    @examples(30)
    @given(DEEDS)
    def check(deeds: list[Deed]) -> None:
        run(_check(chat, deeds))

    check()


async def _check(chat: Chat, deeds: list[Deed]) -> None:
    chat.ada.who = user(f"user_{uuid4().hex}")
    session = await chat.ada.start_session()
    full_s = 0.0  # of the bucket: how long it takes to run empty
    admitted = 0
    for kind, number in deeds:
        if kind == "wait":
            await chat.let_time_pass(number)
            full_s = max(0, full_s - number)
            continue
        over_s = full_s + number * PERIOD_S / LIMIT - PERIOD_S
        saying = chat.ada.say_all(session, *"abc"[:number])
        if over_s > 0:
            assert over_s - STEP_S < (await refused(saying)).wait_s <= over_s
        else:
            admitted += len(await saying)
            full_s = over_s + PERIOD_S
    assert len(await chat.runs(session)) == admitted
