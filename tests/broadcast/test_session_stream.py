"""The browser's module, web/stream, in Node.js."""

from collections.abc import Callable
from uuid import uuid4

from tests.broadcast.live import Live


def test_rows_and_events_become_one_state(node: Callable[..., str]) -> None:
    node("state.test.mjs")
    node("following.test.mjs")


def test_supabase_js_follows_sessions_by_realtime(live: Live, node: Callable[..., str]) -> None:
    node(
        "realtime.test.mjs",
        url=live.stand_in.url,
        key=live.stack.facts["publishable_key"],
        user=f"user_{uuid4().hex}",
        seeds=[1, 2, 3],
    )


def test_the_service_is_followed_by_server_sent_events(
    live: Live, node: Callable[..., str]
) -> None:
    node(
        "sse.test.mjs",
        url=live.stand_in.url,
        key=live.stack.facts["publishable_key"],
        user=f"user_{uuid4().hex}",
        api=live.stack.facts["api_url"],
    )
