"""With which providers there is an account, and what speaks for it."""

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from backend.errors import SettingsInvalid
from backend.model_settings import COMPATIBLE
from backend.ports.clock import Clock
from backend.ports.limits import RateLimits
from backend.ports.models import LLMProvider
from backend.settings import Settings

if TYPE_CHECKING:
    from backend.integrations.models.keys import Keys

# Prefix of the model ids → the class of its vendor, imported only where there is a key: who has
# none does not pay the second and the 40 MB of it. Each has settings of the same name.
HOSTED: Mapping[str, str] = {
    "anthropic": "backend.integrations.models.anthropic:Anthropic",
    "mistral": "backend.integrations.models.mistral:Mistral",
    "openai": "backend.integrations.models.openai:OpenAI",
}
_SERVER = "backend.integrations.models.compatible:Compatible"
OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Account:
    """Where the models of one prefix are asked, and with which keys."""

    vendor: str
    """Its class, as the table has it."""
    variable: str
    """That holds the keys."""
    base_url: str | None
    key: SecretStr | None
    key_file: Path | None
    server: str | None = None
    """Whose keys stand behind this name and `=`."""


def accounts(settings: Settings) -> Mapping[str, Account]:
    """Return the accounts by the prefix of their models.

    Raises:
        SettingsInvalid: A server has another provider's name, or a key has no server.
    """
    servers = settings.compatible_base_url
    if taken := {OFFLINE, *HOSTED} & servers.keys():
        raise SettingsInvalid(f"COMPATIBLE_BASE_URL: {min(taken)} is another provider's name.")
    if COMPATIBLE not in servers and settings.compatible_api_key:
        named = settings.compatible_api_key.get_secret_value().split(",")
        if not all(it.partition("=")[0].strip() in servers for it in named if it.strip()):
            raise SettingsInvalid("COMPATIBLE_API_KEY: of named servers each key is name=key.")
    return {**dict(_hosted(settings)), **dict(_compatible(settings))}


def open_provider(
    prefix: str,
    account: Account,
    clock: Clock,
    *,
    connect_s: float = 10.0,
    silence_s: float = 120.0,
    limits: RateLimits | None = None,
) -> LLMProvider:
    """Return the provider of these models; nothing is connected yet.

    Args:
        prefix: Of the models.
        account: With whom.
        clock: For keys that rest.
        connect_s: For a connection.
        silence_s: Between two pieces of an answer.
        limits: Say when a key may be used.

    Raises:
        SettingsInvalid: Its keys cannot be had.
    """
    from backend.integrations.models.connections import Patience, open_pool  # noqa: PLC0415
    from backend.integrations.models.hosted import HostedProvider  # noqa: PLC0415
    from backend.integrations.models.keys import KeyRing  # noqa: PLC0415
    from backend.integrations.models.rehearsal import rehearse  # noqa: PLC0415

    keys = KeyRing(_keys(account), clock)
    vendor = pkgutil.resolve_name(account.vendor)
    rehearse(lambda pool: vendor(pool, account.base_url))
    pool = open_pool(Patience(connect_s, silence_s))
    return HostedProvider(prefix, vendor(pool, account.base_url), keys, pool, limits)


def variable_of(prefix: str) -> str | None:
    """Return what to set for an account with this provider, or none where there is no such one."""
    if prefix == COMPATIBLE:
        return "COMPATIBLE_BASE_URL"
    return f"{prefix}_api_key".upper() if prefix in HOSTED else None


def _hosted(settings: Settings) -> Iterator[tuple[str, Account]]:
    for prefix, vendor in HOSTED.items():
        names = (f"{prefix}_{it}" for it in ("api_key", "api_key_file", "base_url"))
        key, key_file, base_url = (getattr(settings, name) for name in names)
        if key or key_file:
            yield prefix, Account(vendor, f"{prefix}_api_key".upper(), base_url, key, key_file)


def _compatible(settings: Settings) -> Iterator[tuple[str, Account]]:
    key, key_file = settings.compatible_api_key, settings.compatible_api_key_file
    for name, base_url in settings.compatible_base_url.items():
        server = None if name == COMPATIBLE else name
        yield name, Account(_SERVER, "COMPATIBLE_API_KEY", base_url, key, key_file, server)


def _keys(account: Account) -> "Keys":
    from backend.integrations.models import keys as kinds  # noqa: PLC0415

    keys: Keys
    if account.key_file:
        keys = kinds.FileKeys(account.key_file, f"{account.variable}_FILE")
    elif account.key:
        found = kinds.split_keys(account.key.get_secret_value(), account.variable)
        keys = kinds.FixedKeys(found)
    else:
        return kinds.FixedKeys([kinds.NO_KEY])
    return kinds.KeysOf(account.server, keys) if account.server else keys
