"""What pydantic-ai's model classes raise, into our errors.

The provider's own words go no further: they may quote the user, or a part of the key.
"""

import re

import httpx2
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    UnexpectedModelBehavior,
    UserError,
)

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
from backend.integrations.models.reasons import reason_of, was_never_sent, was_refused

_ON_PURPOSE = (AgentRunError, UserError, httpx2.HTTPError)
# What the libraries stumble over in an answer that is JSON, but not of its format.
_STUMBLED = (AttributeError, TypeError, LookupError, ValueError, AssertionError, RecursionError)
CLIENT_ERRORS = (*_ON_PURPOSE, *_STUMBLED)
"""A vendor's client may raise others of its own."""

# The first that fits counts: some are subclasses of those below them.
_MEANINGS: tuple[tuple[type[Exception], type[AssistantsError], str], ...] = (
    (ModelQuotaExceededError, ModelQuotaExceeded, "The account with the provider is used up."),
    (ModelContextWindowExceededError, ModelContextExceeded, "The conversation is too long."),
    (ModelNotFoundError, ModelNotFound, "The provider has no such model, or not for this key."),
    (ModelAuthenticationError, ModelRefused, "The provider does not accept the key."),
    (UserError, ModelRefused, "The provider's client refuses the request."),
    (UnexpectedModelBehavior, ModelStreamTruncated, "The stream ended before it began."),
)
_TRIED_AGAIN = frozenset({408, 409, 425})
# In a stream these come without a status.
_REFUSALS = frozenset(
    {"invalid_prompt", "bio_policy", "misalignment_policy_violation", "data_residency_mismatch"}
)
# Servers of many makers have no code for it: Mistral, vLLM, llama.cpp, Ollama, LM Studio.
_TOO_LONG = re.compile(
    r"context[ _-]?(length|size|window)|too large for model|prompt is too long|n_ctx|num_ctx",
    re.IGNORECASE,
)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")
# As OpenAI, Anthropic and Mistral call it.
_REQUEST_IDS = ("x-request-id", "request-id", "mistral-correlation-id")
_REFUSED_KEY_S = 60.0
# No waiting makes such a request smaller.
_NEVER_FITS = re.compile("request too large|must be reduced", re.IGNORECASE)
_LIMITED_KEY_S = 5.0


def failure_of(error: Exception) -> AssistantsError:
    """Return what an error of a client means for the run."""
    if isinstance(error, ModelRateLimitError):
        if _NEVER_FITS.search(str(error)):
            return ModelContextExceeded("The request is larger than the account's limit a minute.")
        said = "The provider asks us to slow down."
        return ModelRateLimited(said, retry_after_s=error.retry_after)
    for raised, meaning, said in _MEANINGS:
        if isinstance(error, raised):
            return meaning(said)
    return _uncategorized(error) if isinstance(error, ModelAPIError) else _uncaught(error)


def leave_key_aside_s(error: Exception) -> float | None:
    """Return for how long another key is the better one, or none where it is not about the key."""
    if isinstance(error, ModelRateLimitError):
        return min(error.retry_after or _LIMITED_KEY_S, _REFUSED_KEY_S)
    if isinstance(error, (ModelAuthenticationError, ModelQuotaExceededError)):
        return _REFUSED_KEY_S
    return None


def traits_of(error: Exception) -> dict[str, str | int]:
    """Return log keys: what was raised, and what the provider's support asks for, no words."""
    traits: dict[str, str | int] = {"raised": type(error).__name__}
    _add(traits, "reason", reason_of(error))
    if isinstance(error, _STUMBLED):
        traits["place"] = _place(error)
    if isinstance(error, ModelHTTPError):
        traits["status"] = error.status_code
        headers = error.headers or {}
        _add(traits, "request_id", next(filter(None, map(headers.get, _REQUEST_IDS)), None))
    if isinstance(error, ModelAPIError):
        _add(traits, "provider_code", error.provider_error_code)
        _add(traits, "provider_type", error.provider_error_type)
        _add(traits, "parameter", _parameter(error))
    return traits


def _uncategorized(error: ModelAPIError) -> AssistantsError:
    may_cost = not (was_refused(error) or was_never_sent(error))
    if isinstance(error.__cause__, ValueError) or _says_unreadable(error.__cause__):
        return ModelReplyUnreadable("The provider's answer cannot be read.", may_cost=may_cost)
    status = error.status_code if isinstance(error, ModelHTTPError) else 0
    is_final = 400 <= status < 500 and status not in _TRIED_AGAIN  # noqa: PLR2004 - HTTP's classes
    if is_final and _TOO_LONG.search(str(getattr(error, "body", None) or error.message)):
        return ModelContextExceeded("The conversation is too long.")
    if is_final or error.provider_error_code in _REFUSALS:
        return ModelRefused("The provider refuses the request.")
    said = "The provider failed, or could not be reached."
    return ModelUnavailable(said, retry_after_s=error.retry_after, may_cost=may_cost)


def _says_unreadable(cause: BaseException | None) -> bool:
    # Mistral's client puts its ValueError into an error of its own.
    return cause is not None and isinstance(cause.__cause__, ValueError)


def _uncaught(error: Exception) -> AssistantsError:
    if isinstance(error, _STUMBLED) and not isinstance(error, _ON_PURPOSE):
        said = "The provider's answer has another format than its client expects."
        return ModelReplyUnreadable(said)
    said = "The provider could not be reached, or the connection broke."
    return ModelUnavailable(said, may_cost=not was_never_sent(error))


def _add(traits: dict[str, str | int], key: str, value: str | None) -> None:
    if value is not None and _CODE.fullmatch(value):
        traits[key] = value


def _parameter(error: ModelAPIError) -> str | None:
    """Return which field of the request is wrong, as far as it is one of the API's own."""
    body = getattr(error, "body", None)
    told = body.get("error", body) if isinstance(body, dict) else None
    named = told.get("param") if isinstance(told, dict) else None
    # What stands behind the first point or bracket may be a name out of somebody's schema.
    return re.split(r"[.\[]", named)[0] if isinstance(named, str) else None


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else "unknown"
