"""Standard Webhooks 1.0: whether a request comes from somebody who knows the secret."""

import base64
import binascii
import re
from collections.abc import Sequence

from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.datastructures import Headers

from backend.errors import SettingsInvalid, SignatureInvalid

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
# No dots: they part id, timestamp and body in what is signed.
_HEADERS = {
    "webhook-id": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "webhook-timestamp": re.compile(r"[0-9]{1,12}"),
    "webhook-signature": re.compile(r"[\x21-\x7e]{1,200}( [\x21-\x7e]{1,200}){0,4}"),
}


class Signatures:
    """Tells requests that hold from those that do not."""

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        """Nothing is checked yet.

        Args:
            secrets: The current one first, then the previous; without any, nothing holds.

        Raises:
            SettingsInvalid: One is not `whsec_` and the base64 of 24 to 64 bytes.
        """
        self._verifiers = [Webhook(_key(secret.get_secret_value())) for secret in secrets]

    def verify(self, headers: Headers, body: bytes) -> None:
        """Return quietly if one signature matches and the timestamp is fresh.

        Args:
            headers: Of the request; each of the three is there once.
            body: As it came; re-encoding it breaks the signature.

        Raises:
            SignatureInvalid: No signature matches, or the timestamp is over 5 minutes away.

        Source:
            Standard Webhooks 1.0, "Verifying webhook authenticity".
        """
        signed = {name: _only(headers, name) for name in _HEADERS}
        if not any(_holds(verifier, body, signed) for verifier in self._verifiers):
            raise SignatureInvalid(
                "No signature holds, or webhook-timestamp is over 5 minutes from this clock."
            )


def _only(headers: Headers, name: str) -> str:
    values = headers.getlist(name)
    if len(values) != 1 or not _HEADERS[name].fullmatch(values[0]):
        raise SignatureInvalid(f"{name} is missing, malformed, or there more than once.")
    return values[0]


def _holds(verifier: Webhook, body: bytes, signed: dict[str, str]) -> bool:
    try:
        verifier.verify(body, signed, json_parse=False)
    except (WebhookVerificationError, ValueError):
        # ValueError: a signature without comma or base64, a body that is no UTF-8.
        return False
    return True


def _key(secret: str) -> bytes:
    try:
        # Base64 that PostgreSQL has written may hold line breaks.
        encoded = "".join(secret.removeprefix(_PREFIX).split())
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise SettingsInvalid(
            "WEBHOOK_SECRET, and WEBHOOK_SECRET_PREVIOUS if there is one, must be whsec_ and the"
            " base64 of 24 to 64 random bytes."
        )
    return key
