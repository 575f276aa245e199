"""What every error of this package is."""

from typing import ClassVar


class AssistantsError(Exception):
    """Something went wrong in a way that callers can act on."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
