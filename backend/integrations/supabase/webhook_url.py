"""Where a database sends its webhooks: an address that a secret may vouch for."""

import re
from urllib.parse import urlsplit, urlunsplit

from backend.errors import WebhookRefused
from backend.integrations.supabase.near_hosts import is_near

_PATH = "/webhooks/messages"
_PLAIN = re.compile(r"[!-~]{1,2000}")


def webhook_url(given: str) -> str:
    """Return the address of the service's webhook.

    Args:
        given: That address, or the service's origin alone.

    Raises:
        WebhookRefused: It is no address, has another path, or would go over the open network in
            clear.
    """
    try:
        url = urlsplit(given)
        host, is_whole = url.hostname or "", bool(_PLAIN.fullmatch(given)) and url.port != 0
    except ValueError:
        host, is_whole = "", False
    if not (host and is_whole) or url.scheme not in {"http", "https"}:
        raise WebhookRefused(
            f"An address is wanted, such as https://assistants.example.com{_PATH}."
        )
    if "@" in url.netloc or url.query or url.fragment:
        raise WebhookRefused("The address must hold no login, no query and no fragment.")
    if url.path.rstrip("/") not in {"", _PATH}:
        raise WebhookRefused(f"The path must be {_PATH}; or give the service's origin alone.")
    if url.scheme == "http" and not is_near(host):
        raise WebhookRefused("Over the open network the address must begin with https://.")
    return urlunsplit(url._replace(path=_PATH))
