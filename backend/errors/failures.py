"""What may work later."""

from typing import ClassVar

from backend.errors.root import AssistantsError


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
    is_wait: ClassVar[bool] = False
    """Nothing has failed: it was not asked, or only too often."""

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, may_cost: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.may_cost = may_cost


class ModelRateLimited(ModelUnavailable):
    """The provider asks us to slow down.

    Attributes:
        retry_after_s: What it asked for, or none.
        has_turn: It was not asked: we know its limit, and then is this call's turn.
    """

    code = "model_rate_limited"
    http_status = 429
    is_wait = True

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, has_turn: bool = False
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, may_cost=False)
        self.has_turn = has_turn


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
    is_wait = True
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
