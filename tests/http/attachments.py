"""Files of a user in the bucket for attachments, by supabase-py."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from storage3.exceptions import StorageApiError
from supabase import Client

PNG = {"content-type": "image/png", "cache-control": "0"}


def files(client: Client) -> Any:
    """Return the client's view of the bucket."""
    return client.storage.from_("attachments")


def a_path(user: str, name: str = "photo 1.png") -> str:
    """Return where nothing is yet."""
    return f"{user}/{uuid4()}/{name}"


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def refusal(attempt: Callable[[], Any]) -> tuple[str, str, str]:
    """Return status, code and message of the refusal that the attempt must meet."""
    with pytest.raises(StorageApiError) as refused:
        attempt()
    return str(refused.value.status), refused.value.code, refused.value.message


def yields_nothing(attempt: Callable[[], Any]) -> bool:
    """Return whether the attempt is refused, or there is nothing for it."""
    try:
        return bool(attempt() == [])
    except StorageApiError:
        return True
