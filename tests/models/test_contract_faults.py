"""However a provider fails, it fails in the same way as all others, once, and tells nothing."""

from typing import Any

import pytest
import structlog

from backend.errors import (
    AssistantsError,
    ModelContextExceeded,
    ModelNotFound,
    ModelQuotaExceeded,
    ModelRateLimited,
    ModelRefused,
    ModelReplyUnreadable,
    ModelStreamTruncated,
    ModelUnavailable,
)
from backend.ports.models import Finished, ModelEvent, TextDelta
from tests.models.accounts import KEY, Accounts
from tests.models.asking import DICE, ask, heard_until_raised, text_of
from tests.models.servers import Scripted, Unreliable

SECRET = "the user's own words"
STATUSES: dict[int, type[AssistantsError]] = {
    400: ModelRefused,
    401: ModelRefused,
    402: ModelQuotaExceeded,
    403: ModelRefused,
    404: ModelNotFound,
    408: ModelUnavailable,
    413: ModelRefused,
    422: ModelRefused,
    429: ModelRateLimited,
    500: ModelUnavailable,
    502: ModelUnavailable,
    503: ModelUnavailable,
    529: ModelUnavailable,
}
_WORDS = "one two three four five six"


async def failure(
    mock: Unreliable | Scripted, name: str, accounts: Accounts, **patience: Any
) -> tuple[list[ModelEvent], Exception]:
    """Return the events and the error; it was asked once, and neither error nor log quotes it."""
    provider = accounts.at(mock.url_of(name), name, **patience)
    with structlog.testing.capture_logs() as lines:
        events, error = await heard_until_raised(provider, ask(SECRET, tools=(DICE,)))
    for told in (str(error), *map(str, lines)):
        assert SECRET not in told
        assert KEY not in told
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return events, error


@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_means_the_same_from_everybody(
    mock: Unreliable | Scripted, name: str, accounts: Accounts, status: int
) -> None:
    mock.will_fail(status, message=f"{SECRET}, {KEY}")
    _, error = await failure(mock, name, accounts)
    assert type(error) is STATUSES[status]
    assert len(mock.requests()) == 1


@pytest.mark.parametrize(
    ("name", "model", "near"),
    [
        ("openai", "gpt-6-lunar", "gpt-6-luna"),
        ("anthropic", "claude-opus-5.5", "claude-opus-5-5"),
        ("mistral", "mistral-smal-latest", "mistral-small-latest"),
    ],
)
async def test_an_unknown_model_is_told_with_those_that_are_near(
    unreliable: Unreliable, accounts: Accounts, name: str, model: str, near: str
) -> None:
    unreliable.will_fail(404)
    provider = accounts.at(unreliable.url_of(name), name)
    with structlog.testing.capture_logs() as lines:
        _, error = await heard_until_raised(provider, ask("Hi", model=model))
    assert type(error) is ModelNotFound
    assert near in str(error).partition("Near: ")[2]
    assert near in lines[0]["near"]


async def test_a_rate_limit_says_when_to_come_back(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    unreliable.will_fail(429, retry_after=17)
    _, error = await failure(unreliable, name, accounts)
    assert isinstance(error, ModelRateLimited)
    assert error.retry_after_s == 17


@pytest.mark.parametrize(
    ("name", "refusal", "expected"),
    [
        ("openai", {"status": 429, "code": "insufficient_quota"}, ModelQuotaExceeded),
        ("compatible", {"status": 429, "code": "insufficient_quota"}, ModelQuotaExceeded),
        ("anthropic", {"message": "Your credit balance is too low to go on."}, ModelQuotaExceeded),
        ("openai", {"code": "context_length_exceeded"}, ModelContextExceeded),
        ("compatible", {"message": "The maximum context length is 8."}, ModelContextExceeded),
        ("anthropic", {"message": "prompt is too long: 9 tokens"}, ModelContextExceeded),
        ("mistral", {"code": "3051"}, ModelContextExceeded),
    ],
)
async def test_an_empty_account_and_a_full_context_are_known_by_each_ones_words(
    unreliable: Unreliable,
    accounts: Accounts,
    name: str,
    refusal: dict[str, Any],
    expected: type[AssistantsError],
) -> None:
    unreliable.will_fail(**{"status": 400, **refusal})
    _, error = await failure(unreliable, name, accounts)
    assert type(error) is expected


@pytest.mark.parametrize("after_chunks", [0, 1, 3, 6])
async def test_a_connection_that_is_cut_may_be_tried_again(
    unreliable: Unreliable, name: str, accounts: Accounts, after_chunks: int
) -> None:
    unreliable.will_answer("", _WORDS)
    unreliable.will_break("disconnect", after_chunks=after_chunks)
    events, error = await failure(unreliable, name, accounts)
    assert type(error) is ModelUnavailable
    assert not any(isinstance(event, Finished) for event in events)
    assert len(unreliable.requests()) == 1


async def test_a_socket_that_is_destroyed_may_be_tried_again(
    scripted: Scripted, name: str, accounts: Accounts
) -> None:
    scripted.will_say("words", {"content": _WORDS}, chunkSize=4, truncateAfterChunks=5)
    events, error = await failure(scripted, name, accounts)
    assert type(error) is ModelUnavailable
    assert not any(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize("after_chunks", [0, 1, 3, 6])
async def test_a_stream_that_ends_as_if_it_were_whole_is_no_answer(
    unreliable: Unreliable, name: str, accounts: Accounts, after_chunks: int
) -> None:
    unreliable.will_answer("", _WORDS)
    unreliable.will_break("truncate", after_chunks=after_chunks)
    provider = accounts.at(unreliable.url_of(name), name)
    with pytest.raises((ModelStreamTruncated, ModelUnavailable)) as raised:
        await provider.generate(ask(SECRET))
    assert raised.value.retryable
    assert len(unreliable.requests()) == 1


@pytest.mark.parametrize("after_chunks", [1, 4])
async def test_a_chunk_that_is_no_json_may_be_tried_again(
    unreliable: Unreliable, name: str, accounts: Accounts, after_chunks: int
) -> None:
    unreliable.will_answer("", _WORDS)
    unreliable.will_break("malformed", after_chunks=after_chunks)
    _, error = await failure(unreliable, name, accounts)
    assert type(error) is ModelReplyUnreadable
    assert error.retryable


async def test_a_provider_that_falls_silent_is_given_up(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    unreliable.will_answer("", _WORDS)
    unreliable.will_break("stall", after_chunks=5, stall_seconds=30)
    events, error = await failure(unreliable, name, accounts, silence_s=0.3)
    assert type(error) is ModelUnavailable
    assert _WORDS.startswith(text_of(events))


async def test_a_slow_first_word_is_waited_for(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    unreliable.will_answer("", _WORDS)
    unreliable.will({"type": "slow_first_token", "seconds": 0.3})
    reply = await accounts.at(unreliable.url_of(name), name, silence_s=10).generate(ask(SECRET))
    assert reply.text == _WORDS


async def test_broken_arguments_of_a_tool_are_worth_another_try(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    unreliable.will({"type": "tool_fault", "kind": "malformed_arguments"})
    _, error = await failure(unreliable, name, accounts)
    assert type(error) is ModelReplyUnreadable
    assert error.retryable


async def test_nobody_there_may_pass(name: str, accounts: Accounts) -> None:
    provider = accounts.at("http://127.0.0.1:9", name)
    _, error = await heard_until_raised(provider, ask(SECRET))
    assert type(error) is ModelUnavailable


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9", "connection_refused"),
        ("http://nobody.invalid", "name_not_resolved"),
        ("https", "tls"),
    ],
)
async def test_the_log_says_why_and_where_nobody_was_reached(
    unreliable: Unreliable, name: str, accounts: Accounts, address: str, reason: str
) -> None:
    # llmock speaks no TLS.
    url = unreliable.url_of(name).replace("http", "https") if address == "https" else address
    with structlog.testing.capture_logs() as lines:
        await heard_until_raised(accounts.at(url, name), ask(SECRET))
    (line,) = lines
    assert line["reason"] == reason
    assert url.partition("://")[2].startswith(line["address"].partition("/")[0])


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"type": "slow_first_token", "seconds": 20}, "read_timed_out"),
        ({"type": "stream_fault", "kind": "disconnect", "after_chunks": 0}, "connection_lost"),
    ],
)
async def test_the_log_says_how_an_answer_was_lost(
    unreliable: Unreliable, name: str, accounts: Accounts, behaviour: dict[str, Any], reason: str
) -> None:
    unreliable.will(behaviour)
    provider = accounts.at(unreliable.url_of(name), name, silence_s=1)
    with structlog.testing.capture_logs() as lines:
        await heard_until_raised(provider, ask(SECRET))
    assert [line["reason"] for line in lines] == [reason]


async def test_words_before_the_break_are_heard(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    unreliable.will_answer("", _WORDS)
    unreliable.will_break("disconnect", after_chunks=6)
    events, _ = await failure(unreliable, name, accounts)
    assert events
    assert all(isinstance(event, TextDelta) for event in events)
    assert _WORDS.startswith(text_of(events))
