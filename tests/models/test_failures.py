"""Each failure of the provider is an error of ours that says what to do, and nothing else."""

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
    ModelUnavailable,
)
from tests.models.accounts import KEY, Accounts
from tests.models.asking import MODEL, ask, heard_until_raised
from tests.models.canned import Canned, created, delta, ended, event
from tests.models.servers import Scripted, Unreliable

SECRET = "the user's own words"


async def raised_by(base_url: str, accounts: Accounts) -> Exception:
    _, error = await heard_until_raised(accounts.at(base_url), ask(SECRET))
    return error


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, ModelRefused),
        (401, ModelRefused),
        (402, ModelQuotaExceeded),
        (403, ModelRefused),
        (404, ModelNotFound),
        (408, ModelUnavailable),
        (409, ModelUnavailable),
        (413, ModelRefused),
        (422, ModelRefused),
        (429, ModelRateLimited),
        (500, ModelUnavailable),
        (502, ModelUnavailable),
        (503, ModelUnavailable),
        (529, ModelUnavailable),
    ],
)
async def test_a_status_is_asked_for_once_and_becomes_an_error_without_its_words(
    unreliable: Unreliable, accounts: Accounts, status: int, expected: type[AssistantsError]
) -> None:
    unreliable.will_fail(status, message=f"{SECRET}, {KEY}")
    error = await raised_by(unreliable.base_url, accounts)
    assert type(error) is expected
    assert len(unreliable.requests()) == 1
    assert_tells_nothing(error)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "insufficient_quota", ModelQuotaExceeded),
        (429, "billing_hard_limit_reached", ModelQuotaExceeded),
        (429, "rate_limit_exceeded", ModelRateLimited),
        (400, "context_length_exceeded", ModelContextExceeded),
        (400, "content_policy_violation", ModelRefused),
        (404, "model_not_found", ModelNotFound),
        (403, "model_not_found", ModelNotFound),
        (503, "server_is_overloaded", ModelUnavailable),
    ],
)
async def test_openais_own_codes_are_understood(
    scripted: Scripted,
    accounts: Accounts,
    status: int,
    code: str,
    expected: type[AssistantsError],
) -> None:
    scripted.will_fail(status, message=SECRET, code=code)
    error = await raised_by(scripted.base_url, accounts)
    assert type(error) is expected
    assert len(scripted.requests()) == 1
    assert_tells_nothing(error)


async def test_a_prompt_that_is_too_long_is_told_by_its_words_as_well(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    unreliable.will_fail(400, message="This model's maximum context length is 8 tokens.")
    assert type(await raised_by(unreliable.base_url, accounts)) is ModelContextExceeded


@pytest.mark.parametrize("seconds", [0.25, 17, 86_400])
async def test_a_rate_limit_says_when_to_come_back(
    unreliable: Unreliable, accounts: Accounts, seconds: float
) -> None:
    unreliable.will_fail(429, retry_after=seconds)
    error = await raised_by(unreliable.base_url, accounts)
    assert isinstance(error, ModelRateLimited)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("header", [None, "soon", "-5", "nan"])
async def test_a_rate_limit_that_says_nothing_of_use_leaves_it_to_us(
    canned: Canned, accounts: Accounts, header: str | None
) -> None:
    headers = {"retry_after": header} if header else {}
    canned.will_send(429, {"error": {"message": SECRET}}, **headers)
    error = await raised_by(canned.base_url, accounts)
    assert isinstance(error, ModelRateLimited)
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("server_error", ModelUnavailable),
        ("rate_limit_exceeded", ModelRateLimited),
        ("insufficient_quota", ModelQuotaExceeded),
        ("context_length_exceeded", ModelContextExceeded),
        ("invalid_prompt", ModelRefused),
        ("bio_policy", ModelRefused),
        ("something_new", ModelUnavailable),
    ],
)
async def test_a_failure_in_the_middle_of_the_stream_is_the_same_error(
    canned: Canned, accounts: Accounts, code: str, expected: type[AssistantsError]
) -> None:
    failed = ended("failed", error={"code": code, "message": SECRET})
    for last in (failed, event("error", code=code, message=SECRET, param=None)):
        canned.will_stream(created(), delta("Hel"), last)
        error = await raised_by(canned.base_url, accounts)
        assert type(error) is expected
        assert_tells_nothing(error)


async def test_a_failure_without_a_reason_may_pass(canned: Canned, accounts: Accounts) -> None:
    canned.will_stream(created(), delta("Hel"), ended("failed"))
    assert type(await raised_by(canned.base_url, accounts)) is ModelUnavailable


async def test_nobody_there_may_pass(accounts: Accounts) -> None:
    provider = accounts.at("http://127.0.0.1:9/v1")
    _, error = await heard_until_raised(provider, ask(SECRET))
    assert type(error) is ModelUnavailable


@pytest.mark.parametrize("status", [307, 308])
async def test_the_key_is_not_taken_elsewhere(
    canned: Canned, accounts: Accounts, status: int
) -> None:
    canned.will_send(status, {}, location=f"{canned.base_url}/elsewhere")
    assert isinstance(await raised_by(canned.base_url, accounts), ModelUnavailable)
    assert [request["path"] for request in canned.requests] == ["/v1/responses"]


async def test_the_log_tells_the_providers_support_what_it_asks_for(
    canned: Canned, accounts: Accounts
) -> None:
    body = {"error": {"message": f"{SECRET} {KEY}", "code": "invalid_api_key", "type": SECRET}}
    canned.will_send(401, body, x_request_id="req_0123")
    with structlog.testing.capture_logs() as lines:
        await raised_by(canned.base_url, accounts)
    assert lines == [
        {
            "event": "model.call_failed",
            "log_level": "warning",
            "provider": "openai",
            "model": MODEL,
            "code": "model_refused",
            "address": canned.base_url.removeprefix("http://"),
            "raised": "ModelAuthenticationError",
            "status": 401,
            "request_id": "req_0123",
            "provider_code": "invalid_api_key",
            "key_number": 1,
            "key_aside_s": 60.0,
        }
    ]


async def test_the_log_tells_which_field_of_a_request_is_wrong(
    canned: Canned, accounts: Accounts
) -> None:
    error = {"message": SECRET, "type": "invalid_request_error", "param": "tools[0].secret_name"}
    canned.will_send(400, {"error": error})
    with structlog.testing.capture_logs() as lines:
        await raised_by(canned.base_url, accounts)
    (line,) = lines
    assert (line["provider_type"], line["parameter"]) == ("invalid_request_error", "tools")
    assert "secret" not in str(line)


async def test_an_address_is_logged_without_what_is_secret_in_it(accounts: Accounts) -> None:
    provider = accounts.at("http://me:my-password@127.0.0.1:9/gateway/v1/?key=my-key")
    with structlog.testing.capture_logs() as lines:
        await heard_until_raised(provider, ask(SECRET))
    assert [line["address"] for line in lines] == ["127.0.0.1:9/gateway/v1"]
    assert not [line for line in lines if "my-" in str(line)]


async def test_a_model_is_not_said_to_be_near_itself(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    unreliable.will_fail(404)
    provider = accounts.at(unreliable.base_url)
    with structlog.testing.capture_logs() as lines:
        await heard_until_raised(provider, ask(SECRET, model="gpt-5.4"))
    assert "gpt-5.4" not in lines[0]["near"].split(", ")


async def test_the_log_takes_codes_only(canned: Canned, accounts: Accounts) -> None:
    canned.will_send(500, {"error": {"message": "", "code": SECRET}}, x_request_id=SECRET)
    with structlog.testing.capture_logs() as lines:
        await raised_by(canned.base_url, accounts)
    assert not [line for line in lines if SECRET in str(line)]


async def test_the_log_tells_where_the_client_stumbled(canned: Canned, accounts: Accounts) -> None:
    canned.will_stream(created(), event("response.completed"))
    with structlog.testing.capture_logs() as lines:
        error = await raised_by(canned.base_url, accounts)
    assert type(error) is ModelReplyUnreadable
    assert [line["place"].split(":")[0].split(".")[0] for line in lines] == ["pydantic_ai"]


def assert_tells_nothing(error: Any) -> None:
    """Neither the error nor what it was raised from holds the provider's words."""
    assert SECRET not in str(error)
    assert KEY not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__
