"""Who hears an answer while it is said, in front of supabase-js."""

from pathlib import Path

from tests.http.crew import Crew
from tests.support.node import node_tests
from tests.support.stack import Stack

SCRIPT = Path(__file__).with_name("realtime.test.mjs")


def test_only_the_owner_of_a_session_hears_its_answers(crew: Crew, stack: Stack, user: str) -> None:
    node_tests(
        SCRIPT,
        url=crew.realtime_url,
        key=stack.facts["publishable_key"],
        mine=stack.token(user),
        theirs=stack.token(f"{user}_other"),
    )
