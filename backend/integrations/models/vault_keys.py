"""Keys from Supabase Vault, which may be replaced there at any time."""

import asyncio
from collections.abc import Sequence

import structlog

from backend.errors import AssistantsError, ModelRefused, SettingsInvalid
from backend.integrations.models.keys import KEYS_UNREADABLE, split_keys
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway

_FRESH_S = 30.0
_LACKS = {
    "no_vault": "This project has no Supabase Vault to read a key from.",
    "not_permitted": "The owner of engine.read_model_key may not read Supabase Vault.",
}
_log = structlog.get_logger()


class _NoKey(Exception):
    """Vault was asked, and has none for us."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class VaultKeys:
    """Reads the keys again twice a minute; what Vault last said holds where it says nothing."""

    def __init__(self, gateway: Gateway, provider: str, clock: Clock) -> None:
        """Nothing is read yet.

        Args:
            gateway: The way to the project's database.
            provider: The prefix of its models; its secret is `assistants_<provider>_api_key`.
            clock: Says when to look again.
        """
        self._gateway = gateway
        self._provider = provider
        self._clock = clock
        self._keys: tuple[str, ...] = ()
        self._looks_at = 0.0
        self._one = asyncio.Lock()

    async def current(self) -> Sequence[str]:
        """Return them.

        Raises:
            ModelRefused: Vault has none, and never had while this process lives.
            DependencyFailed: It cannot be asked, and none is known yet.
        """
        async with self._one:
            if self._clock.monotonic() >= self._looks_at:
                await self._look()
        return self._keys

    async def _look(self) -> None:
        try:
            self._keys = await self._read()
        except _NoKey as none:
            self._tell(none.why)
            if not self._keys:
                raise ModelRefused(str(none)) from None
        except AssistantsError as error:
            self._tell(error.code)
            if not self._keys:
                raise
        self._looks_at = self._clock.monotonic() + _FRESH_S

    async def _read(self) -> tuple[str, ...]:
        asked = {"p_provider": self._provider}
        found = await self._gateway.call("engine.read_model_key", asked)
        if said := _LACKS.get(found["state"]):
            raise _NoKey(said, found["state"])
        if found["state"] == "missing":
            raise _NoKey(f"{self._name}: there is no such secret.", "no_secret")
        try:
            return split_keys(found.get("key") or "", self._name)
        except SettingsInvalid as none:
            raise _NoKey(str(none), "no_key_in_it") from None

    def _tell(self, why: str) -> None:
        _log.error(KEYS_UNREADABLE, provider=self._provider, why=why)

    @property
    def _name(self) -> str:
        return f"Vault's secret assistants_{self._provider}_api_key"
