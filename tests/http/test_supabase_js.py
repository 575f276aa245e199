"""The same wall and the same flow in front of supabase-js."""

from pathlib import Path

import pytest

from tests.support.node import node_tests
from tests.support.stack import Stack

SCRIPT = Path(__file__).with_name("chats.test.mjs")


@pytest.mark.usefixtures("crew")
def test_supabase_js_is_served_and_walled_off_alike(stack: Stack, user: str) -> None:
    node_tests(
        SCRIPT,
        url=stack.facts["supabase_url"],
        key=stack.facts["publishable_key"],
        mine=stack.token(user),
        theirs=stack.token(f"{user}_other"),
    )
