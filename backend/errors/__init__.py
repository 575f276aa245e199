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

from backend.errors.failures import (
    BatchUndecided,
    DatabaseContended,
    DatabaseUnavailable,
    DependencyFailed,
    IdentityUnavailable,
    InternalFailure,
    ModelPending,
    ModelRateLimited,
    ModelReplyUnreadable,
    ModelResting,
    ModelStreamTruncated,
    ModelTimedOut,
    ModelUnavailable,
    StorageUnavailable,
    ToolUnavailable,
)
from backend.errors.rejections import (
    AssistantNotFound,
    BudgetExceeded,
    Conflict,
    DatabaseRejected,
    HistoryUnreadable,
    InputInvalid,
    LocalStackFailed,
    MigrationRefused,
    ModelContextExceeded,
    ModelNotFound,
    ModelQuotaExceeded,
    ModelRefused,
    NotFound,
    NotPermitted,
    PayloadTooLarge,
    Rejected,
    RequestInvalid,
    SchemaMissing,
    ServiceRoleRefused,
    SettingsInvalid,
    SignatureInvalid,
    ToolRefused,
    TooManyRequests,
    Unauthenticated,
    WebhookNotConfigured,
    WebhookRefused,
)
from backend.errors.root import (
    AssistantsError,
)

__all__ = [
    "AssistantNotFound",
    "AssistantsError",
    "BatchUndecided",
    "BudgetExceeded",
    "Conflict",
    "DatabaseContended",
    "DatabaseRejected",
    "DatabaseUnavailable",
    "DependencyFailed",
    "HistoryUnreadable",
    "IdentityUnavailable",
    "InputInvalid",
    "InternalFailure",
    "LocalStackFailed",
    "MigrationRefused",
    "ModelContextExceeded",
    "ModelNotFound",
    "ModelPending",
    "ModelQuotaExceeded",
    "ModelRateLimited",
    "ModelRefused",
    "ModelReplyUnreadable",
    "ModelResting",
    "ModelStreamTruncated",
    "ModelTimedOut",
    "ModelUnavailable",
    "NotFound",
    "NotPermitted",
    "PayloadTooLarge",
    "Rejected",
    "RequestInvalid",
    "SchemaMissing",
    "ServiceRoleRefused",
    "SettingsInvalid",
    "SignatureInvalid",
    "StorageUnavailable",
    "TooManyRequests",
    "ToolRefused",
    "ToolUnavailable",
    "Unauthenticated",
    "WebhookNotConfigured",
    "WebhookRefused",
]
