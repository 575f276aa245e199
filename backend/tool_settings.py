"""The settings of the service's own tools, a part of `Settings`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backend.model_settings import address, without_blanks


class ToolSettings(BaseSettings):
    """Which functions there are beside the built-in ones, and where they may ask."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    tools_file: Path | None = None
    """The operator's APIs and MCP servers, as TOML or JSON."""
    tools_modules: Annotated[tuple[str, ...], NoDecode] = ()
    """Python modules with functions that are tools, comma-separated."""
    tools_private_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts of tools that may lie in a private network, comma-separated; others may not."""
    weather_url: str = "https://api.open-meteo.com"
    weather_places_url: str = "https://geocoding-api.open-meteo.com"
    weather_api_key: SecretStr | None = None
    """Of a customer of Open-Meteo; without one it may be asked for nothing commercial."""

    @field_validator("tools_file", "weather_api_key", mode="before")
    @classmethod
    def _is_tools(cls, value: Any) -> Any:
        return without_blanks(value)

    @field_validator("tools_modules", "tools_private_hosts", mode="before")
    @classmethod
    def _are_listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(it.strip() for it in value.split(",") if it.strip())

    @field_validator("weather_url", "weather_places_url")
    @classmethod
    def _is_service(cls, url: str) -> str:
        return address(url).rstrip("/")
