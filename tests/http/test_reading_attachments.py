"""The service reads what a user has attached, for that user alone."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from supabase import Client

from backend.domain.asker import Asker
from backend.errors import NotFound, PayloadTooLarge, StorageUnavailable
from backend.integrations.supabase.storage import SupabaseStorage
from tests.http.attachments import PNG, a_path, files
from tests.support.stack import Stack


@pytest_asyncio.fixture
async def storage(stack: Stack) -> AsyncIterator[SupabaseStorage]:
    """Yield the bucket, as a worker reads it."""
    url, key = stack.facts["supabase_url"], stack.facts["secret_key"]
    async with SupabaseStorage(url, secret_key=key) as made:
        yield made


async def read(storage: SupabaseStorage, path: str, user: str, most: int = 1000) -> bytes:
    return await storage.read(path, Asker(user), max_bytes=most)


async def test_a_users_own_file_is_read(storage: SupabaseStorage, path: str, user: str) -> None:
    assert await read(storage, path, user) == b"\x89PNG mine"


@pytest.mark.parametrize("name", ["a b.png", "x?y&z=1.png", "..a.png", "a+b.png"])
async def test_a_name_may_hold_what_addresses_are_made_of(
    storage: SupabaseStorage, mine: Client, user: str, name: str
) -> None:
    made = a_path(user, name)
    files(mine).upload(made, name.encode(), PNG)
    assert await read(storage, made, user) == name.encode()


async def test_a_foreign_and_a_missing_file_look_alike(
    storage: SupabaseStorage, path: str, user: str
) -> None:
    asked = [
        (a_path(user, "é.png"), user),
        (path, "user_else"),
        (a_path(user), user),
        (path, ""),
        (path, user[:-1]),
    ]
    for it, who in asked:
        with pytest.raises(NotFound) as missing:
            await read(storage, it, who)
        assert str(missing.value) == "There is no such file."


@pytest.mark.parametrize(
    "around",
    [
        "{0}/../{1}",
        "{0}/{2}/../../{1}",
        "{0}/{2}/..",
        "{0}%2F{2}/../{1}",
        "./{1}",
        "/{1}",
        "{1}/",
        "{1}\n",
        "{1}?download",
        "",
        "file_1",
    ],
)
async def test_no_way_leads_out_of_the_askers_folder(
    storage: SupabaseStorage, path: str, around: str
) -> None:
    asker = f"user_{uuid4().hex}"
    with pytest.raises(NotFound):
        await read(storage, around.format(asker, path, uuid4()), asker)


async def test_a_file_that_is_too_large_is_not_read_to_its_end(
    storage: SupabaseStorage, path: str, user: str
) -> None:
    assert len(await read(storage, path, user, most=9)) == 9
    with pytest.raises(PayloadTooLarge):
        await read(storage, path, user, most=8)


async def test_a_key_that_does_not_hold_is_no_missing_file(
    stack: Stack, path: str, user: str
) -> None:
    url = stack.facts["supabase_url"]
    async with SupabaseStorage(url, secret_key="sb_secret_wrong") as storage:
        with pytest.raises(StorageUnavailable):
            await read(storage, path, user)


async def test_nobody_at_the_address_is_told_apart_from_a_missing_file(user: str) -> None:
    async with SupabaseStorage("http://127.0.0.1:1", secret_key="sb_secret_x") as storage:
        with pytest.raises(StorageUnavailable) as raised:
            await read(storage, a_path(user), user)
    assert raised.value.retryable
    assert "sb_secret" not in str(raised.value)
