"""With which providers there is an account, and what speaks for it."""

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from backend.domain.successors import successors
from backend.errors import SettingsInvalid
from backend.model_settings import COMPATIBLE
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
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
    is_in_vault: bool = False
    """Its keys are in Supabase Vault."""
    database: Gateway | None = None
    """The way there."""


def accounts(settings: Settings, database: Gateway | None = None) -> Mapping[str, Account]:
    """Return the accounts by the prefix of their models.

    Args:
        settings: Of this process.
        database: The way to Vault, for accounts that are opened.

    Raises:
        SettingsInvalid: A server has another provider's name, or a key has no server.
    """
    servers = settings.compatible_base_url
    if taken := {OFFLINE, *HOSTED} & servers.keys():
        raise SettingsInvalid(f"COMPATIBLE_BASE_URL: {min(taken)} is another provider's name.")
    if COMPATIBLE not in servers and settings.compatible_api_key:
        named = settings.compatible_api_key.get_secret_value().split(",")
        if not all(it.partition("=")[0].strip() in servers for it in named if it.strip()):
            # What stands before a = may be half a key.
            known = f"known from COMPATIBLE_BASE_URL: {', '.join(sorted(servers)) or 'none'}"
            raise SettingsInvalid(f"COMPATIBLE_API_KEY: each key is name=key of a server; {known}.")
    return {**dict(_hosted(settings, database)), **dict(_compatible(settings))}


def prefixes(settings: Settings) -> frozenset[str]:
    """Return what model ids may begin with here, with keys or without."""
    return frozenset({OFFLINE, COMPATIBLE, *HOSTED, *settings.compatible_base_url})


def check_names(settings: Settings) -> None:
    """Return quietly if limits and aliases are of providers that there may be.

    Raises:
        SettingsInvalid: A limit is nobody's, or an alias leads nowhere.
    """
    _check_limits(settings)
    _check_aliases(settings)


def _check_limits(settings: Settings) -> None:
    """Return quietly if each limit is one of a provider that there may be.

    Raises:
        SettingsInvalid: One is not, and would limit nothing.
    """
    known = prefixes(settings)
    for rate in settings.model_limits:
        if rate.provider not in known:
            raise SettingsInvalid(
                f"MODEL_LIMITS: no provider is called {rate.provider!r}; "
                f"known are {', '.join(sorted(known))}."
            )


def check_accounts(settings: Settings, clock: Clock) -> None:
    """Return quietly if a worker of these settings has its keys; those in Vault are not looked up.

    Raises:
        SettingsInvalid: One cannot be had, a server has another provider's name, a limit is
            nobody's, or an alias leads nowhere.
    """
    check_names(settings)
    for prefix, account in accounts(settings).items():
        if not account.is_in_vault:
            _keys(prefix, account, clock)


def _check_aliases(settings: Settings) -> None:
    """Return quietly if each alias leads to a provider that there may be, and none leads back.

    Raises:
        SettingsInvalid: One does not; a model that is its own successor is no circle.
    """
    known, ours = prefixes(settings), _own_successors(settings.model_aliases)
    for model, successor in settings.model_aliases.items():
        prefix = successor.partition(":")[0]
        if prefix not in known:
            raise SettingsInvalid(
                f"MODEL_ALIASES: {model}={successor}: no provider is called {prefix!r}; "
                f"known are {', '.join(sorted(known))}."
            )
        if circle := _circle(model, ours):
            raise SettingsInvalid(
                f"MODEL_ALIASES: {'='.join(circle)} is a circle: name the model that answers."
            )


def _own_successors(aliases: Mapping[str, str]) -> Mapping[str, str]:
    """Return them with what they mean for retired models, and without what stands anyway."""
    built_in, found = successors({}), successors(aliases)
    return {
        model: successor
        for model, successor in found.items()
        if model in aliases or built_in.get(model) != successor
    }


def _circle(start: str, aliases: Mapping[str, str]) -> list[str] | None:
    way = [start]
    while (successor := aliases.get(way[-1], way[-1])) != way[-1]:
        if successor in way:
            return [*way[way.index(successor) :], successor]
        way.append(successor)
    return None


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
    # The vendors' SDKs: seconds of CPU, for workers alone.
    from backend.integrations.models.connections import Patience, open_pool  # noqa: PLC0415
    from backend.integrations.models.hosted import HostedProvider  # noqa: PLC0415
    from backend.integrations.models.keys import KeyRing  # noqa: PLC0415
    from backend.integrations.models.rehearsal import rehearse  # noqa: PLC0415

    keys = KeyRing(_keys(prefix, account, clock), clock)
    vendor = pkgutil.resolve_name(account.vendor)
    rehearse(lambda pool: vendor(pool, account.base_url))
    pool = open_pool(Patience(connect_s, silence_s))
    return HostedProvider(prefix, vendor(pool, account.base_url), keys, pool, limits)


def variable_of(prefix: str) -> str | None:
    """Return what to set for an account with this provider, or none where there is no such one."""
    if prefix == COMPATIBLE:
        return "COMPATIBLE_BASE_URL"
    return f"{prefix}_api_key".upper() if prefix in HOSTED else None


def _hosted(settings: Settings, database: Gateway | None) -> Iterator[tuple[str, Account]]:
    for prefix, vendor in HOSTED.items():
        names = (f"{prefix}_{it}" for it in ("api_key", "api_key_file", "base_url"))
        key, key_file, base_url = (getattr(settings, name) for name in names)
        variable = f"{prefix}_api_key".upper()
        if key or key_file:
            yield prefix, Account(vendor, variable, base_url, key, key_file)
        elif prefix in settings.model_keys_in_vault:
            account = Account(vendor, variable, base_url, None, None)
            yield prefix, replace(account, is_in_vault=True, database=database)


def _compatible(settings: Settings) -> Iterator[tuple[str, Account]]:
    key, key_file = settings.compatible_api_key, settings.compatible_api_key_file
    for name, base_url in settings.compatible_base_url.items():
        server = None if name == COMPATIBLE else name
        yield name, Account(_SERVER, "COMPATIBLE_API_KEY", base_url, key, key_file, server)


def _keys(prefix: str, account: Account, clock: Clock) -> "Keys":
    # With what `open_provider` imports, and as late.
    from backend.integrations.models import keys as kinds  # noqa: PLC0415
    from backend.integrations.models.vault_keys import VaultKeys  # noqa: PLC0415

    if account.is_in_vault:
        if account.database is None:
            raise SettingsInvalid("MODEL_KEYS_IN_VAULT: this process has no way to the database.")
        return VaultKeys(account.database, prefix, clock)
    keys: Keys
    if account.key_file:
        keys = kinds.FileKeys(account.key_file, f"{account.variable}_FILE")
    elif account.key:
        found = kinds.split_keys(account.key.get_secret_value(), account.variable)
        keys = kinds.FixedKeys(found)
    else:
        return kinds.FixedKeys([kinds.NO_KEY])
    return kinds.KeysOf(account.server, keys) if account.server else keys
