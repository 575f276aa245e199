"""Signed URLs: one file, one purpose, for as long as they say."""

import asyncio
import time
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import jwt
import pytest
from supabase import Client

from tests.http.attachments import PNG, a_path, files, folder_of, refusal
from tests.support.processes import until
from tests.support.stack import Stack


def test_a_signed_url_shows_one_file_to_whoever_has_it(
    stack: Stack, mine: Client, path: str, user: str
) -> None:
    second = a_path(user)
    files(mine).upload(second, b"\x89PNG second", PNG)
    url = files(mine).create_signed_url(path, 60)["signedURL"]

    assert httpx.get(url).content == b"\x89PNG mine"

    base = f"{stack.facts['supabase_url']}/storage/v1/object"
    token = parse_qs(urlsplit(url).query)["token"][0]
    head, body, signature = token.split(".")
    for elsewhere in (
        f"{base}/sign/attachments/{quote(second)}?token={token}",
        f"{base}/sign/attachments/{quote(folder_of(path))}/?token={token}",
        f"{base}/sign/others/{quote(path)}?token={token}",
        f"{base}/sign/attachments/{quote(path)}?token={head}.{body}.{signature[::-1]}",
        f"{base}/sign/attachments/{quote(path)}?token={head}.{body}.",
        f"{base}/sign/attachments/{quote(path)}",
    ):
        answer = httpx.get(elsewhere)
        assert answer.status_code in {400, 404}, elsewhere
        assert b"PNG" not in answer.content


def test_a_signed_url_for_reading_writes_nothing(stack: Stack, mine: Client, path: str) -> None:
    url = files(mine).create_signed_url(path, 60)["signedURL"]
    token = parse_qs(urlsplit(url).query)["token"][0]
    upload = (
        f"{stack.facts['supabase_url']}/storage/v1/object/upload/sign/attachments/{quote(path)}"
    )

    answer = httpx.put(
        f"{upload}?token={token}", content=b"x", headers={"Content-Type": "image/png"}
    )

    assert answer.status_code in {400, 403}
    assert files(mine).download(path) == b"\x89PNG mine"


async def test_a_signed_url_expires(mine: Client, path: str) -> None:
    url = files(mine).create_signed_url(path, 1)["signedURL"]
    token = parse_qs(urlsplit(url).query)["token"][0]
    expires_at = float(jwt.decode(token, options={"verify_signature": False})["exp"])

    async def is_over() -> bool:
        return time.time() >= expires_at + 0.05

    await until(is_over)
    answer = await asyncio.to_thread(httpx.get, url)

    assert answer.status_code == 400
    assert b"PNG" not in answer.content


@pytest.mark.parametrize("expires_in", [0, -1, "soon", None, 1.5])
def test_a_url_is_signed_for_whole_seconds_alone(
    stack: Stack, user: str, path: str, expires_in: Any
) -> None:
    answer = httpx.post(
        f"{stack.facts['supabase_url']}/storage/v1/object/sign/attachments/{quote(path)}",
        headers={
            "apikey": stack.facts["publishable_key"],
            "Authorization": f"Bearer {stack.token(user)}",
        },
        json={"expiresIn": expires_in},
    )

    assert answer.status_code == 400
    assert "signedURL" not in answer.json()


def test_a_signed_url_of_a_removed_file_shows_nothing(mine: Client, path: str) -> None:
    url = files(mine).create_signed_url(path, 60)["signedURL"]
    files(mine).remove([path])

    assert httpx.get(url).status_code in {400, 404}


def test_a_signed_upload_takes_one_file_within_the_limits(
    stack: Stack, mine: Client, user: str
) -> None:
    path = a_path(user)
    token = files(mine).create_signed_upload_url(path)["token"]
    visitor = files(stack.client())

    html = {"content-type": "text/html"}
    assert refusal(lambda: visitor.upload_to_signed_url(path, token, b"<p>", html))[0] == "415"
    refusal(lambda: visitor.upload_to_signed_url(a_path(user), token, b"x", PNG))
    visitor.upload_to_signed_url(path, token, b"\x89PNG signed", PNG)
    refusal(lambda: visitor.upload_to_signed_url(path, token, b"\x89PNG again", PNG))

    assert files(mine).download(path) == b"\x89PNG signed"
