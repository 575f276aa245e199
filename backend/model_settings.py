"""The settings of the accounts with models' providers, a part of `Settings`."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

COMPATIBLE = "compatible"
"""The prefix of the models of a server that has no name."""
_SERVER = re.compile(r"[a-z0-9_-]{1,40}")
_ANY_SERVER = re.compile(r"[^\s:/]{1,40}")
_ANY_MODEL = re.compile(r"\S{1,240}")
_MODEL = re.compile(r"[a-z0-9_-]+:\S{1,200}")


def address(url: str) -> str:
    """Return the URL, which has a scheme of the web's and a host.

    Raises:
        ValueError: It is none.
    """
    if not (url.startswith(("http://", "https://")) and urlsplit(url).netloc):
        raise ValueError("it is no address, which begins with http:// or https:// and a host")
    return url


def _pairs(text: str, name: re.Pattern[str], form: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for pair in filter(None, (it.strip() for it in text.split(","))):
        left, is_pair, right = (it.strip() for it in pair.partition("="))
        if not (is_pair and right and name.fullmatch(left)):
            raise ValueError(f"it is no list of {form}, with commas between them")
        if left in seen:
            raise ValueError(f"{left} is named twice")
        seen.add(left)
        yield left, right


def _server(name: str) -> str:
    if not _SERVER.fullmatch(name):
        raise ValueError("the name of a server has 1 to 40 of a-z (no capitals), 0-9, - and _")
    return name


def without_blanks(value: Any) -> Any:
    """Return the value, or none for an empty one: so a file of variables says that there is none."""
    return None if value == "" else value


class ModelSettings(BaseSettings):
    """Where models are asked, with which keys, and which one answers for which."""

    openai_api_key: SecretStr | None = None
    """One key, or several with commas between them; this holds for each provider's."""
    openai_api_key_file: Path | None = None
    """In its place: a file with the keys, which may be replaced while the process lives."""
    openai_base_url: str | None = None
    anthropic_api_key: SecretStr | None = None
    anthropic_api_key_file: Path | None = None
    anthropic_base_url: str | None = None
    mistral_api_key: SecretStr | None = None
    mistral_api_key_file: Path | None = None
    mistral_base_url: str | None = None
    compatible_base_url: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    """One server's address, or several as `name=address`; a name is the prefix of its models."""
    compatible_api_key: SecretStr | None = None
    """Its keys; of several servers: `name=key`."""
    compatible_api_key_file: Path | None = None
    model_aliases: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    """`name=provider:name`, comma-separated: which model answers in place of another."""

    @field_validator(
        "openai_api_key",
        "openai_api_key_file",
        "openai_base_url",
        "anthropic_api_key",
        "anthropic_api_key_file",
        "anthropic_base_url",
        "mistral_api_key",
        "mistral_api_key_file",
        "mistral_base_url",
        "compatible_api_key",
        "compatible_api_key_file",
        mode="before",
    )
    @classmethod
    def _is_given(cls, value: Any) -> Any:
        return without_blanks(value)

    @field_validator("openai_base_url", "anthropic_base_url", "mistral_base_url")
    @classmethod
    def _is_api(cls, url: str | None) -> str | None:
        return address(url) if url else url

    @field_validator("compatible_base_url", mode="before")
    @classmethod
    def _are_servers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if "," not in value and (value.startswith(("http://", "https://")) or "=" not in value):
            return {COMPATIBLE: address(value)} if value.strip() else {}
        pairs = _pairs(value, _ANY_SERVER, "name=address")
        return {_server(name): address(url) for name, url in pairs}

    @field_validator("model_aliases", mode="before")
    @classmethod
    def _are_aliases(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = dict(_pairs(value, _ANY_MODEL, "name=provider:name"))
        if not all(_MODEL.fullmatch(model) for model in pairs.values()):
            raise ValueError("what answers is provider:name")
        return pairs

    @field_validator(
        "openai_api_key_file",
        "anthropic_api_key_file",
        "mistral_api_key_file",
        "compatible_api_key_file",
    )
    @classmethod
    def _is_alone(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        key = str(info.field_name).removesuffix("_file")
        if path and info.data.get(key):
            raise ValueError(f"{key.upper()} is set, too: one of the two")
        return path
