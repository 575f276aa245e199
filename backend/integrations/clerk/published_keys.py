"""What the issuer publishes: fetched within limits, and of it only keys that may sign tokens."""

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from backend.errors import SettingsInvalid
from backend.integrations.clerk.strict_json import read_object

_PATH = "/.well-known/jwks.json"
_MOST_BYTES = 256_000
_MOST_KEYS = 100
# Shorter ones can be broken, longer ones make each check slow.
_BITS = range(2048, 8192 + 1)
_MOST_PORT = 65_535


class KeysNotFetched(Exception):
    """There was no usable answer.

    Attributes:
        code: Why, for the log.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """An answer of the issuer."""

    by_kid: dict[str, RSAPublicKey]
    """At least one."""
    date: str | None
    """What the issuer's clock said, as in the header."""


def jwks_url(issuer: str) -> str:
    """Return where the keys are.

    Args:
        issuer: As in `iss`, letter by letter.

    Raises:
        SettingsInvalid: It is no such address, or anybody on the way could put in their own keys.
    """
    try:
        url = httpx.URL(issuer)
    except httpx.InvalidURL:
        raise SettingsInvalid("CLERK_ISSUER is no URL.") from None
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise SettingsInvalid("CLERK_ISSUER must begin with https:// unless it is this machine.")
    is_plain = str(url) == issuer and not url.userinfo and not set(issuer) & set("?#")
    if not (is_plain and url.host and not issuer.endswith("/") and (url.port or 1) <= _MOST_PORT):
        raise SettingsInvalid("CLERK_ISSUER must be like https://host, without a slash at the end.")
    return issuer + _PATH


def open_client() -> httpx.AsyncClient:
    """Return a client that goes nowhere else and gets bytes as long as they are."""
    return httpx.AsyncClient(
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
        # Without TLS only this machine is asked, never a proxy that the environment names.
        mounts={"http://": None},
    )


async def fetch_keys(client: httpx.AsyncClient, url: str, *, timeout_s: float) -> PublishedKeys:
    """Return what the issuer publishes now.

    Args:
        client: From `open_client`.
        url: From `jwks_url`.
        timeout_s: For everything together, however slowly the answer drips.

    Raises:
        KeysNotFetched: There is no usable answer.
    """
    try:
        async with asyncio.timeout(timeout_s), client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise KeysNotFetched(f"status_{response.status_code}")
            body = await _read(response)
    except (TimeoutError, httpx.TimeoutException):
        raise KeysNotFetched("timeout") from None
    except httpx.HTTPError:
        raise KeysNotFetched("unreachable") from None
    return PublishedKeys(read_keys(body), response.headers.get("date"))


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    # Raw: a compressed answer, which we did not ask for, could unfold without end.
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise KeysNotFetched("too_large")
    return bytes(body)


def read_keys(body: bytes) -> dict[str, RSAPublicKey]:
    """Return the document's usable keys; of two with one name the first.

    Raises:
        KeysNotFetched: It is no key set, or has too many keys or no usable one.

    Source:
        RFC 7517, sections 4 and 5: what a reader does not understand, it ignores.
    """
    try:
        published = read_object(body).get("keys")
    except ValueError:
        raise KeysNotFetched("malformed") from None
    if not isinstance(published, list):
        raise KeysNotFetched("malformed")
    if len(published) > _MOST_KEYS:
        raise KeysNotFetched("too_many_keys")
    keys: dict[str, RSAPublicKey] = {}
    for jwk in published:
        if (key := _signing_key(jwk)) is not None:
            keys.setdefault(jwk["kid"], key)
    if not keys:
        raise KeysNotFetched("no_usable_key")
    return keys


def _signing_key(jwk: Any) -> RSAPublicKey | None:
    match jwk:
        # Whoever reads a private member can sign whatever they like.
        case {"d": _} | {"p": _} | {"q": _}:
            return None
        case {"kty": "RSA", "kid": str(kid), "n": str(n), "e": str(e)} if kid:
            signs = jwk.get("use", "sig") == "sig" and jwk.get("alg", "RS256") == "RS256"
            return _rsa_key(n, e) if signs else None
        case _:
            return None


def _rsa_key(n: str, e: str) -> RSAPublicKey | None:
    try:
        key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": n, "e": e})
    except ValueError:
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size in _BITS else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
