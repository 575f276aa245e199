"""The project's API keys: random for each data folder, in the form of the hosted ones."""

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from backend.devkit.private_files import read_json, write_private_json


@dataclass(frozen=True)
class ProjectKeys:
    """Keys that clients send, and the secret that signs Storage's URLs."""

    publishable_key: str
    secret_key: str
    storage_secret: str


def load(path: Path) -> ProjectKeys:
    """Return the keys in the file; they are drawn and stored when there is none."""
    known = read_json(path)
    if not known:
        known = asdict(_draw())
        write_private_json(path, known)
    return ProjectKeys(**known)


def _draw() -> ProjectKeys:
    return ProjectKeys(
        publishable_key=f"sb_publishable_{secrets.token_urlsafe(24)}",
        secret_key=f"sb_secret_{secrets.token_urlsafe(32)}",
        storage_secret=secrets.token_urlsafe(32),
    )
