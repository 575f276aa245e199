"""Every error that this package raises on purpose.

AssistantsError                       code, http_status, retryable
├── Rejected                          4xx: trying again changes nothing
│   ├── SettingsInvalid               a setting is missing or wrong; names the variable
│   ├── InputInvalid                  the database or a parser refuses the input
│   ├── RequestInvalid                the request is not what this address takes
│   ├── PayloadTooLarge               the body is over the limit
│   ├── TooManyRequests               over a limit of this service; says when to come back
│   ├── Unauthenticated               there is no token, or one that does not hold
│   ├── SignatureInvalid              a webhook that nobody who knows the secret has signed
│   ├── WebhookNotConfigured          this service has no secret to verify webhooks with
│   ├── NotPermitted                  not yours, or not there
│   ├── NotFound                      there is no such thing
│   ├── Conflict                      the state of the rows does not allow it
│   ├── HistoryUnreadable             a row holds what cannot be read
│   ├── AssistantNotFound             it was deleted meanwhile
│   ├── ModelNotFound                 no provider serves this model id
│   ├── ModelRefused                  the provider refuses this request for good
│   │   ├── ModelContextExceeded      the conversation is longer than the model takes
│   │   └── ModelQuotaExceeded        the account with the provider is used up
│   ├── BudgetExceeded                what may be spent in a day or month is spent
│   ├── ToolRefused                   a tool will not do what it was asked; says why, to the model
│   ├── MigrationRefused              the database's history and the files disagree
│   ├── ServiceRoleRefused            the host does not let this login make roles
│   ├── WebhookRefused                the webhook cannot be set up; says what to do
│   ├── LocalStackFailed              the embedded stack could not be started or used
│   ├── SchemaMissing                 the project lacks functions or tables of ours
│   └── DatabaseRejected              a statement failed in a way that no retry cures
└── DependencyFailed                  5xx: may work later, retried with backoff
    ├── DatabaseUnavailable           no connection, or lost during the call
    ├── DatabaseContended             still deadlocked or not serialisable after all tries
    ├── IdentityUnavailable           the issuer's keys cannot be had now
    ├── ModelUnavailable              the provider failed or could not be reached
    │   ├── ModelRateLimited          it says when to come back
    │   ├── ModelTimedOut             it did not begin, or not end, in time
    │   ├── ModelResting              it failed so often that it is left alone for a while
    │   └── ModelReplyUnreadable      it answered what nobody can read
    ├── ModelStreamTruncated          the stream ended without its final event
    ├── ModelPending                  its answer comes in a batch
    ├── BatchUndecided                whether a batch was made cannot be told yet
    ├── StorageUnavailable            a stored file cannot be had now
    ├── ToolUnavailable               a tool failed in a way that may pass
    └── InternalFailure               a defect of ours, or a row that nobody expected

`code` is the contract, the message is prose. Messages never hold text of users or models,
tokens, or a connection's password.
"""

from typing import ClassVar


class AssistantsError(Exception):
    """Something went wrong in a way that callers can act on."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class Rejected(AssistantsError):
    """The request cannot succeed as it stands."""

    code = "rejected"
    http_status = 400


class SettingsInvalid(Rejected):
    """A setting is missing or wrong; the message names the variable."""

    code = "settings_invalid"


class InputInvalid(Rejected):
    """The input breaks a rule (SQLSTATE class 22 or 23)."""

    code = "input_invalid"
    http_status = 422


class RequestInvalid(Rejected):
    """The request is not what this address takes; the message says where."""

    code = "request_invalid"


class PayloadTooLarge(Rejected):
    """The body is over the limit."""

    code = "payload_too_large"
    http_status = 413


class TooManyRequests(Rejected):
    """A limit of this service is reached.

    Attributes:
        retry_after_s: When to come back.
    """

    code = "too_many_requests"
    http_status = 429

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unauthenticated(Rejected):
    """There is no token, or one that does not hold; why is for the log alone.

    Attributes:
        why: A short code such as `expired`, for the log and never for the caller.
    """

    code = "unauthenticated"
    http_status = 401

    def __init__(self, why: str) -> None:
        super().__init__("A valid session token is needed: Authorization: Bearer <token>.")
        self.why = why


class SignatureInvalid(Rejected):
    """A webhook that nobody who knows the secret has signed just now."""

    code = "signature_invalid"
    http_status = 401


class WebhookNotConfigured(Rejected):
    """This service has no secret to verify webhooks with."""

    code = "webhook_not_configured"
    http_status = 404


class NotPermitted(Rejected):
    """The row is somebody else's or does not exist; the two look the same."""

    code = "not_permitted"
    http_status = 403


class NotFound(Rejected):
    """There is no such thing."""

    code = "not_found"
    http_status = 404


class Conflict(Rejected):
    """The state of the rows does not allow this now."""

    code = "conflict"
    http_status = 409


class HistoryUnreadable(Rejected):
    """A row of the conversation holds what this service cannot read."""

    code = "history_unreadable"
    http_status = 422


class AssistantNotFound(Rejected):
    """The assistant that should answer was deleted meanwhile."""

    code = "assistant_not_found"
    http_status = 404


class ModelNotFound(Rejected):
    """No provider serves this model id."""

    code = "model_not_found"


class ModelRefused(Rejected):
    """The provider refuses this request and will refuse it again."""

    code = "model_refused"


class ModelContextExceeded(ModelRefused):
    """The conversation is longer than the model takes."""

    code = "model_context_exceeded"


class ModelQuotaExceeded(ModelRefused):
    """The account with the provider has no credit left, or is over its own spending limit."""

    code = "model_quota_exceeded"


class BudgetExceeded(Rejected):
    """What somebody may spend in a day or a month is spent; the message names the limit."""

    code = "budget_exceeded"
    http_status = 429


class ToolRefused(Rejected):
    """A tool will not do what it was asked; the message is for the model."""

    code = "tool_refused"
    http_status = 422


class MigrationRefused(Rejected):
    """The database's migration history and the files disagree."""

    code = "migration_refused"
    http_status = 409


class ServiceRoleRefused(Rejected):
    """The host does not let this login make or grant the service role.

    Attributes:
        service_url: The login, a secret, that the SQL in the message makes.
    """

    code = "service_role_refused"
    http_status = 403

    def __init__(self, message: str, *, service_url: str) -> None:
        super().__init__(message)
        self.service_url = service_url


class WebhookRefused(Rejected):
    """The webhook cannot be set up like this; the message says what to do."""

    code = "webhook_refused"
    http_status = 409


class LocalStackFailed(Rejected):
    """The embedded stack could not be started or used; the message says what to do."""

    code = "local_stack_failed"
    http_status = 500


class SchemaMissing(Rejected):
    """The project lacks functions or tables that this release calls; the message says the cure."""

    code = "schema_missing"
    http_status = 500


class DatabaseRejected(Rejected):
    """A statement failed in a way that no retry cures.

    Attributes:
        sqlstate: The five-character code; the server's own text may quote rows and is left out.
    """

    code = "database_rejected"
    http_status = 500

    def __init__(self, message: str, *, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class DependencyFailed(AssistantsError):
    """Something that we depend on failed; the same request may succeed later."""

    code = "dependency_failed"
    http_status = 503
    retryable = True


class DatabaseUnavailable(DependencyFailed):
    """There is no connection, or it was lost during the call: it may have taken effect."""

    code = "database_unavailable"


class DatabaseContended(DependencyFailed):
    """The transaction did nothing because of others: a deadlock, a conflict, a lock that is held.

    Attributes:
        rolled_back: By a deadlock or a conflict: the next try may work at once.
    """

    code = "database_contended"

    def __init__(self, message: str, *, rolled_back: bool = False) -> None:
        super().__init__(message)
        self.rolled_back = rolled_back


class IdentityUnavailable(DependencyFailed):
    """The keys of the token's issuer cannot be had now, so no token can be verified."""

    code = "identity_unavailable"


class ModelUnavailable(DependencyFailed):
    """The provider failed or could not be reached.

    Attributes:
        retry_after_s: When to come back, or none.
        may_cost: The provider may have worked on it, and bill that.
    """

    code = "model_unavailable"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, may_cost: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.may_cost = may_cost

    @property
    def is_wait(self) -> bool:
        """Whether it is known when it may work, so that waiting until then is no failure."""
        return self.retry_after_s is not None


class ModelRateLimited(ModelUnavailable):
    """The provider asks us to slow down.

    Attributes:
        retry_after_s: What it asked for, or none.
        has_turn: It was not asked: we know its limit, and then is this call's turn.
    """

    code = "model_rate_limited"
    http_status = 429

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, has_turn: bool = False
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, may_cost=False)
        self.has_turn = has_turn

    @property
    def is_wait(self) -> bool:
        """Always: a limit ends, even where nobody says when."""
        return True


class ModelTimedOut(ModelUnavailable):
    """The answer did not begin, or not end, in the time that the operator gives it."""

    code = "model_timed_out"
    http_status = 504


class ModelResting(ModelUnavailable):
    """The provider failed so often in a row that it was not asked.

    Attributes:
        retry_after_s: When it will be.
    """

    code = "model_resting"
    retry_after_s: float

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=retry_after_s, may_cost=False)


class ModelReplyUnreadable(ModelUnavailable):
    """The provider answered, but not in its own format, or with arguments that are no object."""

    code = "model_reply_unreadable"
    http_status = 502


class ModelStreamTruncated(DependencyFailed):
    """The stream ended without its final event, so what was heard is not a whole reply."""

    code = "model_stream_truncated"
    http_status = 502


class ModelPending(DependencyFailed):
    """The question waits in a batch for its answer; nothing has failed.

    Attributes:
        retry_after_s: None: whoever lands the answer wakes the run.
    """

    code = "model_pending"
    retry_after_s = None


class BatchUndecided(DependencyFailed):
    """Whether the provider has made a batch cannot be told yet."""

    code = "batch_undecided"


class StorageUnavailable(DependencyFailed):
    """A stored file cannot be had now."""

    code = "storage_unavailable"


class ToolUnavailable(DependencyFailed):
    """A tool failed in a way that may pass; the message is for the model."""

    code = "tool_unavailable"


class InternalFailure(DependencyFailed):
    """A defect of ours, or a row that nobody expected; tried again up to the cap."""

    code = "internal_error"
    http_status = 500
