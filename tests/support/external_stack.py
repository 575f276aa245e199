"""A project that runs already, such as `supabase start` makes one: the environment says where.

TEST_SUPABASE_URL, TEST_SUPABASE_PUBLISHABLE_KEY, TEST_SUPABASE_SECRET_KEY
TEST_ADMIN_DATABASE_URL   the owner's login
TEST_ISSUER_KEY           a file with the RSA key whose tokens the project trusts
TEST_ISSUER_URL           of an issuer of that key; else one is started
TEST_DATABASE_URL         the service's login; else it is made, and its password is new
TEST_REALTIME             "off" where the project has none
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from backend.devkit import ports
from backend.devkit.issuer import Issuer
from backend.devkit.tokens import Subject, load_key, mint
from backend.integrations.supabase import migrations
from tests.support.processes import until
from tests.support.stack import Stack, assistants

_NEEDED = (
    "TEST_SUPABASE_URL",
    "TEST_SUPABASE_PUBLISHABLE_KEY",
    "TEST_SUPABASE_SECRET_KEY",
    "TEST_ADMIN_DATABASE_URL",
    "TEST_ISSUER_KEY",
)
_LOGIN = "DATABASE_URL="


class ExternalStack(Stack):
    """A project whose issuer's key is at hand."""

    def __init__(self, facts: dict[str, Any], key: RSAPrivateKey) -> None:
        super().__init__(facts)
        self._key = key

    def token(self, user: str) -> str:
        """Return a signed-in user's token, good for a minute."""
        return mint(self._key, self.facts["issuer_url"], Subject(user), now_s=int(time.time()))

    def signing_key(self) -> RSAPrivateKey:
        """Return the key that signs the tokens."""
        return self._key


def is_named() -> bool:
    """Return whether the environment names a project."""
    return any(os.environ.get(name) for name in _NEEDED)


@contextmanager
def external_stack() -> Iterator[Stack]:
    """Yield the project with schema and demo assistant; all that was stored there stays."""
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    assert not missing, f"Not set: {', '.join(missing)}"
    # Two processes would take the service's login, and each other's runs, from one another.
    assert os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") == "1", "Use `-n 0`: one project."
    key_file = Path(os.environ["TEST_ISSUER_KEY"])
    assert key_file.is_file(), f"{key_file} is missing"
    key = load_key(key_file)
    with _issuer(key) as issuer_url:
        facts: dict[str, Any] = {
            "supabase_url": os.environ["TEST_SUPABASE_URL"].rstrip("/"),
            "publishable_key": os.environ["TEST_SUPABASE_PUBLISHABLE_KEY"],
            "secret_key": os.environ["TEST_SUPABASE_SECRET_KEY"],
            "admin_database_url": os.environ["TEST_ADMIN_DATABASE_URL"],
            "issuer_url": issuer_url,
            "has_realtime": os.environ.get("TEST_REALTIME") != "off",
        }
        facts["database_url"] = _bring_up(facts["admin_database_url"])
        asyncio.run(_is_known(facts))
        stack = ExternalStack(facts, key)
        try:
            yield stack
        finally:
            stack.close()


def _bring_up(admin_url: str) -> str:
    """Return the service's login; the schema is up to date and an assistant is there."""
    login = os.environ.get("TEST_DATABASE_URL")
    options = [] if login else ["--service-role", "--new-password"]
    printed = assistants("migrate", *options, ADMIN_DATABASE_URL=admin_url)
    asyncio.run(migrations.seed(admin_url))
    return login or next(
        line.removeprefix(_LOGIN) for line in printed.splitlines() if line.startswith(_LOGIN)
    )


@contextmanager
def _issuer(key: RSAPrivateKey) -> Iterator[str]:
    if running := os.environ.get("TEST_ISSUER_URL"):
        yield running
        return
    issuer = Issuer(key, ports.choose(None))
    issuer.start()
    try:
        yield issuer.url
    finally:
        issuer.stop()


async def _is_known(facts: dict[str, Any]) -> None:
    """The Data API has noticed the schema."""
    headers = {"apikey": facts["secret_key"]}
    async with httpx.AsyncClient(base_url=facts["supabase_url"], headers=headers) as client:

        async def knows() -> bool:
            answer = await client.post("/rest/v1/rpc/service_schema_version", json={})
            return answer.is_success

        await until(knows)
