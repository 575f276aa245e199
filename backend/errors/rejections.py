"""What trying again does not change."""

from backend.errors.root import AssistantsError


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
