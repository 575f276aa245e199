"""Every setting, read once at start; no other module reads the environment."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backend.batch_settings import BatchSettings
from backend.errors import SettingsInvalid
from backend.limit_settings import LimitSettings
from backend.model_settings import ModelSettings, address, without_blanks
from backend.tool_settings import ToolSettings
from backend.usage_settings import UsageSettings

DATA_VARIABLE = "ASSISTANTS_DATA"
STACK_FILE = "stack.json"
_POOLER_PORT = 6543
_NO_DATABASE_URL = (
    "it is no URL of a database, postgresql://user:password@host:5432/postgres: [YOUR-PASSWORD] goes"
    " with its brackets, and characters such as @ / # [ in a password are percent-encoded"
)
_PROJECTS = ("DATABASE_URL", "ADMIN_DATABASE_URL", "SUPABASE_URL")
# What `assistants up --json` calls otherwise than the environment does.
_STACK_NAMES = {
    "issuer_url": "clerk_issuer",
    "publishable_key": "supabase_publishable_key",
    "secret_key": "supabase_secret_key",
}


def _database_url(url: SecretStr | None) -> SecretStr | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url.get_secret_value())
        is_one = parts.scheme in ("postgresql", "postgres") and parts.port != 0
        is_one = is_one and bool(parts.hostname or "host=" in parts.query)
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError(_NO_DATABASE_URL)
    return url


class ProbeSettings(BaseSettings):
    """What is needed to ask a process of the same container whether it is well."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=0, le=65535)
    worker_liveness_file: str = ""
    """Touched by a worker every other second; empty for none."""


class Settings(
    ModelSettings, LimitSettings, BatchSettings, ToolSettings, UsageSettings, ProbeSettings
):
    """What a process needs to know; each field is the environment variable in upper case."""

    database_url: SecretStr | None = None
    """The service's own login; without it functions are called over the project's Data API."""
    database_pool: int = Field(default=8, ge=1, le=200)
    database_transaction_pooler: bool = False
    """Say true where a pooler in transaction mode listens on another port than 6543."""
    supabase_url: str | None = None
    supabase_publishable_key: str | None = None
    supabase_secret_key: SecretStr | None = None
    clerk_issuer: str | None = None
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of the frontends, comma-separated: for CORS, and for the `azp` of tokens."""
    webhook_secret: SecretStr | None = None
    """`whsec_…`, as in the project's Vault; without it webhooks are refused."""
    webhook_secret_previous: SecretStr | None = None
    """Still taken while the secret is being changed."""
    realtime_broadcast: Literal["auto", "off"] = "auto"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_folder: str = "Logs"
    """Where errors are kept as well, in files that rotate; empty for none."""
    worker_concurrency: int = Field(default=32, ge=1, le=1000)
    worker_lease_s: float = Field(default=10.0, ge=0.5, le=600)
    worker_drain_s: float = Field(default=25.0, ge=0, le=3600)
    worker_poll_s: float = Field(default=1.0, ge=0.01, le=60)
    worker_listen: Literal["auto", "on", "off"] = "auto"
    worker_max_rounds: int = Field(default=16, ge=1, le=256)
    """How often one run may ask for tools before it ends as incomplete."""
    worker_max_text_bytes: int = Field(default=400_000, ge=1, le=1_000_000)
    """A longer answer is cut there and its run ends as incomplete."""
    offline_trials: bool = False
    """Lets scripts for the offline model take their time and kill the worker; for tests only."""
    api_max_streams: int = Field(default=5000, ge=1, le=100_000)
    """Open streams of one process."""
    api_max_streams_per_user: int = Field(default=20, ge=1, le=10_000)
    api_heartbeat_s: float = Field(default=15.0, ge=0.1, le=300)

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(origin.strip() for origin in value.split(",") if origin.strip())

    @field_validator(
        "database_url",
        "supabase_url",
        "supabase_publishable_key",
        "supabase_secret_key",
        "clerk_issuer",
        "webhook_secret",
        "webhook_secret_previous",
        mode="before",
    )
    @classmethod
    def _is_said(cls, value: Any) -> Any:
        return without_blanks(value)

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, url: SecretStr | None) -> SecretStr | None:
        return _database_url(url)

    @field_validator("supabase_url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        return address(url) if url else url

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError("an origin is scheme://host[:port], without a path or a slash")
        return origins

    @property
    def transport(self) -> Literal["asyncpg", "postgrest"]:
        """How functions of the database are called: a login is the shorter way where there is one."""
        return "asyncpg" if self.database_url else "postgrest"

    @property
    def uses_transaction_pooler(self) -> bool:
        """Whether connections change between transactions: no prepared statements, no LISTEN."""
        if self.database_url is None:
            return False
        port = urlsplit(self.database_url.get_secret_value()).port
        told = self.database_transaction_pooler or self.worker_listen == "off"
        return told or port == _POOLER_PORT


class OwnerSettings(BaseSettings):
    """What only the owner's commands need."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    admin_database_url: SecretStr
    """The owner's login."""
    clerk_issuer: str | None = None

    @field_validator("clerk_issuer", mode="before")
    @classmethod
    def _is_said(cls, value: Any) -> Any:
        return without_blanks(value)

    @field_validator("admin_database_url")
    @classmethod
    def _is_database(cls, url: SecretStr) -> SecretStr:
        return _database_url(url) or url


S = TypeVar("S", Settings, OwnerSettings, ProbeSettings, ToolSettings)


def data_folder(given: Path | None = None) -> Path:
    """Return where the local stack keeps its files: given, from the environment, or by default."""
    if given is not None:
        return given
    if chosen := os.environ.get(DATA_VARIABLE):
        return Path(chosen)
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").exists():
        return checkout / ".local"
    return _home() / ".local" / "share" / "supa-assistants"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        # As for the user of a container, who is a number and nothing else.
        return Path("/nonexistent")


def load(data: Path | None = None) -> Settings:
    """Return the settings of the stack in `data`, else of the environment, else of a local stack.

    What a stack file names beats the environment; worker, log and API settings come from there.

    Raises:
        SettingsInvalid: A variable is missing or wrong; the message names it, never its value.
    """
    settings = _validated(Settings, _values(data))
    if settings.database_url is None and not (
        settings.supabase_url and settings.supabase_secret_key
    ):
        raise SettingsInvalid(
            "DATABASE_URL is not set; without it SUPABASE_URL and SUPABASE_SECRET_KEY are needed."
        )
    return settings


def load_owner(data: Path | None = None) -> OwnerSettings:
    """Return the owner's login from where `load` looks; the service's own may not exist yet.

    Raises:
        SettingsInvalid: ADMIN_DATABASE_URL is missing.
    """
    if data is None and not os.environ.get("ADMIN_DATABASE_URL"):
        # Neither the service's login nor libpq's defaults are the owner.
        stack = data_folder(data) / STACK_FILE
        if any(os.environ.get(name) for name in _PROJECTS) or not stack.exists():
            raise SettingsInvalid(
                f"ADMIN_DATABASE_URL is not set, and no local stack runs in {stack.parent}."
            )
    return _validated(OwnerSettings, _values(data))


def load_reader(data: Path | None = None) -> Settings:
    """Return what `load` does; without another way to the database, with the owner's login.

    Raises:
        SettingsInvalid: There is no way at all, or a variable is wrong.
    """
    values = _values(data)
    settings = _validated(Settings, values)
    if settings.database_url or settings.supabase_secret_key:
        return load(data)
    login = _validated(OwnerSettings, values).admin_database_url
    return settings.model_copy(update={"database_url": login})


def load_probe() -> ProbeSettings:
    """Return what the environment says; no other setting need be there.

    Raises:
        SettingsInvalid: A variable is wrong.
    """
    return _validated(ProbeSettings, {})


def load_tools() -> ToolSettings:
    """Return what the environment says of tools; no other setting need be there.

    Raises:
        SettingsInvalid: A variable is wrong.
    """
    return _validated(ToolSettings, {})


def _values(data: Path | None) -> dict[str, Any]:
    # Whoever names a project means that one: a local stack is no substitute for half an answer.
    if data is None and any(os.environ.get(name) for name in _PROJECTS):
        return {}
    stack = data_folder(data) / STACK_FILE
    if stack.exists():
        return _stack_values(stack)
    if data is not None:
        raise SettingsInvalid(f"There is no stack in {data}: run `assistants up --data {data}`.")
    raise SettingsInvalid(
        f"DATABASE_URL is not set, nor SUPABASE_URL, and no local stack runs in {stack.parent}."
    )


def _stack_values(stack: Path) -> dict[str, Any]:
    try:
        values = json.loads(stack.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{stack} cannot be read: {type(error).__name__}.") from None
    return {_STACK_NAMES.get(name.lower(), name.lower()): value for name, value in values.items()}


def _validated(kind: type[S], values: dict[str, Any]) -> S:
    try:
        return kind(**values)
    except ValidationError as invalid:
        raise SettingsInvalid("; ".join(map(_problem, invalid.errors()))) from None


def _problem(found: Any) -> str:
    name = str(found["loc"][0]).upper()
    if found["type"] == "missing":
        return f"{name} is not set."
    return f"{name}: {found['msg'].removeprefix('Value error, ')}"
