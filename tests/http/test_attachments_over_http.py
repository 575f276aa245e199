"""Real uploads through the official clients: what is one's own works, all else is not there."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from storage3.exceptions import StorageApiError
from supabase import Client

from tests.devkit.exchange import run_sql
from tests.http.attachments import PNG, a_path, files, folder_of, refusal, yields_nothing
from tests.support.node import node_tests
from tests.support.stack import Stack

SCRIPT = Path(__file__).with_name("attachments.test.mjs")
LIMIT_BYTES = 20 * 2**20


@pytest.fixture
def stranger(request: pytest.FixtureRequest, stack: Stack, theirs: Client) -> Client:
    """Return a client of another user, or of nobody."""
    return theirs if request.param == "another user" else stack.client()


EVERYBODY_ELSE = pytest.mark.parametrize("stranger", ["another user", "nobody"], indirect=True)


@EVERYBODY_ELSE
@pytest.mark.parametrize("call", ["download", "info", "create_signed_url", "exists"])
def test_a_foreign_and_a_missing_file_look_alike(
    stranger: Client, path: str, user: str, call: str
) -> None:
    def asked(name: str) -> Any:
        more = (60,) if call == "create_signed_url" else ()
        try:
            return getattr(files(stranger), call)(name, *more)
        except StorageApiError as error:
            return (error.status, error.code, error.message)

    foreign, missing = asked(path), asked(a_path(user))

    assert foreign == missing
    assert foreign is False or str(foreign[0]) in {"400", "404"}


@EVERYBODY_ELSE
def test_of_many_none_is_signed(stranger: Client, path: str, user: str) -> None:
    missing = a_path(user)

    def signed() -> Any:
        return [
            it for it in files(stranger).create_signed_urls([path, missing], 60) if it["signedURL"]
        ]

    assert yields_nothing(signed)


@EVERYBODY_ELSE
def test_nobody_else_lists_a_folder(stranger: Client, path: str, user: str) -> None:
    for prefix in ("", user, f"{user}/", folder_of(path)):
        assert yields_nothing(partial(files(stranger).list, prefix)), prefix
        searched = {"search": user[:6]}
        assert yields_nothing(partial(files(stranger).list, prefix, searched)), prefix


@EVERYBODY_ELSE
def test_nobody_else_removes_a_file(stranger: Client, mine: Client, path: str, user: str) -> None:
    assert yields_nothing(lambda: files(stranger).remove([path, a_path(user)]))
    assert files(mine).download(path) == b"\x89PNG mine"


@EVERYBODY_ELSE
@pytest.mark.parametrize("upsert", ["false", "true"])
def test_nobody_else_writes_into_a_folder(
    stranger: Client, mine: Client, path: str, user: str, upsert: str
) -> None:
    options = {**PNG, "upsert": upsert}

    def upload(name: str) -> Any:
        return files(stranger).upload(name, b"\x89PNG theirs", options)

    foreign, missing = refusal(lambda: upload(path)), refusal(lambda: upload(a_path(user)))

    assert foreign == missing
    assert foreign[0] == "403"
    assert files(mine).download(path) == b"\x89PNG mine"


@EVERYBODY_ELSE
def test_nobody_else_may_sign_an_upload(stranger: Client, path: str, user: str) -> None:
    foreign = refusal(lambda: files(stranger).create_signed_upload_url(path))

    assert foreign == refusal(lambda: files(stranger).create_signed_upload_url(a_path(user)))


@EVERYBODY_ELSE
@pytest.mark.parametrize("call", ["move", "copy"])
def test_nobody_else_takes_a_file(stranger: Client, path: str, user: str, call: str) -> None:
    def take(name: str) -> tuple[str, str, str]:
        target = a_path(f"{user}_other")
        return refusal(lambda: getattr(files(stranger), call)(name, target))

    assert take(path) == take(a_path(user))


@EVERYBODY_ELSE
def test_the_bucket_itself_is_out_of_reach(stranger: Client, path: str) -> None:
    storage = stranger.storage
    assert path
    assert yields_nothing(lambda: [it for it in storage.list_buckets() if it.id == "attachments"])
    missing = refusal(lambda: storage.get_bucket(f"b{uuid4().hex}"))
    assert refusal(lambda: storage.get_bucket("attachments")) == missing
    for attempt in (
        lambda: storage.update_bucket("attachments", {"public": True}),
        lambda: storage.empty_bucket("attachments"),
        lambda: storage.delete_bucket("attachments"),
    ):
        refusal(attempt)


def test_an_uploaded_file_comes_back_byte_for_byte(mine: Client, user: str) -> None:
    content = bytes(range(256)) * 4096
    path = a_path(user, "all bytes.pdf")

    files(mine).upload(path, content, {"content-type": "application/pdf"})

    assert files(mine).download(path) == content
    assert files(mine).info(path)["content_type"] == "application/pdf"


def test_an_owner_lists_own_files_alone_and_removes_them(
    mine: Client, theirs: Client, path: str, user: str
) -> None:
    other = a_path(f"{user}_other")
    refusal(lambda: files(theirs).upload(other, b"x", PNG))

    assert [it["name"] for it in files(mine).list("")] == [user]
    assert [it["name"] for it in files(mine).list(user)] == [folder_of(path).rpartition("/")[2]]
    assert [it["name"] for it in files(mine).list(folder_of(path))] == ["photo 1.png"]
    assert [it["name"] for it in files(mine).remove([path])] == [path]
    assert files(mine).list(user) == []
    assert refusal(lambda: files(mine).download(path))[2] == "Object not found"


@pytest.mark.parametrize("upsert", ["false", "true"])
def test_a_file_is_not_replaced(mine: Client, path: str, upsert: str) -> None:
    refusal(lambda: files(mine).upload(path, b"\x89PNG new", {**PNG, "upsert": upsert}))

    assert files(mine).download(path) == b"\x89PNG mine"


def test_a_file_that_was_removed_makes_room_for_another(mine: Client, path: str) -> None:
    files(mine).remove([path])

    files(mine).upload(path, b"\x89PNG new", PNG)

    assert files(mine).download(path) == b"\x89PNG new"


@pytest.mark.parametrize("call", ["move", "copy"])
def test_an_owner_neither_moves_nor_copies(mine: Client, path: str, user: str, call: str) -> None:
    for target in (a_path(user), a_path(f"{user}_other")):
        refusal(partial(getattr(files(mine), call), path, target))

        assert files(mine).exists(target) is False
    assert files(mine).exists(path) is True


@pytest.mark.parametrize(
    "form",
    [
        "photo.png",
        "{me}/photo.png",
        "{me}/{id}/deeper/photo.png",
        "{me}/photos/photo.png",
        "{me}_other/{id}/photo.png",
        "{me}/{id}/ü.png",
        "{me}/{id}/😀.png",
        "{me}/{id}/{long}",
        "{me}/{id}/a\\b.png",
    ],
)
def test_a_path_of_another_form_is_refused(mine: Client, user: str, form: str) -> None:
    name = form.format(me=user, id=uuid4(), long="a" * 1100)

    assert refusal(lambda: files(mine).upload(name, b"x", PNG))[0] in {"400", "403", "414"}
    assert files(mine).list(user) == []


@pytest.mark.parametrize(
    "way",
    [
        "{them}/../{me}/{id}/a.png",
        "{them}/%2e%2e/{me}/{id}/a.png",
        "{them}%2F..%2F{me}%2F{id}%2Fa.png",
        "{them}//{me}/{id}/a.png",
        "/{me}/{id}/a.png",
        "../attachments/{me}/{id}/a.png",
        "{me}/{id}/%00a.png",
        "{me}/{id}/%ff",
        "{me}/{id}/a.png%2F..%2Fb.png",
    ],
)
def test_no_spelling_of_a_path_leads_into_a_folder_of_others(
    stack: Stack, mine: Client, path: str, user: str, way: str
) -> None:
    them = f"{user}_other"
    spelled = way.format(me=user, them=them, id=folder_of(path).rpartition("/")[2])
    headers = {
        "apikey": stack.facts["publishable_key"],
        "Authorization": f"Bearer {stack.token(them)}",
    }
    place = f"{stack.facts['supabase_url']}/storage/v1/object/attachments/{spelled}"
    before = sorted(it["name"] for it in files(mine).list(folder_of(path)))

    with httpx.Client(headers=headers, timeout=30) as client:
        read = client.get(place)
        wrote = client.post(place, content=b"x", headers={"Content-Type": "image/png"})

    assert b"mine" not in read.content
    assert not read.is_success
    assert read.status_code < 500
    assert not wrote.is_success
    assert wrote.status_code < 500
    assert sorted(it["name"] for it in files(mine).list(folder_of(path))) == before


def test_a_file_as_large_as_the_limit_is_taken_and_a_larger_one_is_not(
    mine: Client, user: str
) -> None:
    content = os.urandom(LIMIT_BYTES)
    path = a_path(user)
    files(mine).upload(path, content, PNG)
    assert files(mine).download(path) == content

    status, _, message = refusal(lambda: files(mine).upload(a_path(user), content + b"1", PNG))

    assert (status, message) == ("413", "The object exceeded the maximum allowed size")
    assert len(files(mine).list(user)) == 1


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "image/svg+xml",
        "application/javascript",
        "application/octet-stream",
        "application/zip",
        "image/*",
        "image/png2",
    ],
)
def test_a_file_of_another_type_is_refused(mine: Client, user: str, kind: str) -> None:
    status, _, message = refusal(
        lambda: files(mine).upload(a_path(user), b"<script>", {"content-type": kind})
    )

    assert (status, message) == ("415", f"mime type {kind} is not supported")
    assert files(mine).list(user) == []


@pytest.mark.parametrize(
    "kind",
    [
        "image/jpeg",
        "image/webp",
        "image/gif",
        "text/markdown",
        "text/csv",
        "application/json",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ],
)
def test_a_file_of_an_allowed_type_is_taken(mine: Client, user: str, kind: str) -> None:
    path = a_path(user)

    files(mine).upload(path, b"x", {"content-type": kind})

    assert files(mine).info(path)["content_type"] == kind


@pytest.fixture
def elsewhere(stack: Stack) -> Iterator[str]:
    """Yield a bucket of the project's own where every user may do everything, without limits."""
    name = f"open-{uuid4().hex}"
    rule = f"to authenticated using (bucket_id = '{name}') with check (bucket_id = '{name}')"
    storage = stack.operator().storage
    storage.create_bucket(name, options={"public": False})
    run_sql(stack, f'create policy "{name}" on storage.objects {rule};')
    try:
        yield name
    finally:
        run_sql(stack, f'drop policy "{name}" on storage.objects;')
        storage.from_(name).remove(["page.html"])
        storage.delete_bucket(name)


@pytest.mark.parametrize("call", ["copy", "move"])
def test_what_another_bucket_takes_does_not_get_past_the_limits(
    stack: Stack, mine: Client, user: str, elsewhere: str, call: str
) -> None:
    target = a_path(user, "page.html")
    mine.storage.from_(elsewhere).upload("page.html", b"<script>", {"content-type": "text/html"})
    asked = {
        "bucketId": elsewhere,
        "sourceKey": "page.html",
        "destinationBucket": "attachments",
        "destinationKey": target,
    }
    headers = {
        "apikey": stack.facts["publishable_key"],
        "Authorization": f"Bearer {stack.token(user)}",
    }
    place = f"{stack.facts['supabase_url']}/storage/v1/object/{call}"

    answer = httpx.post(place, headers=headers, json=asked)

    assert answer.status_code in {400, 403}
    assert answer.json()["message"] == "new row violates row-level security policy"
    assert mine.storage.from_(elsewhere).download("page.html") == b"<script>"
    assert files(mine).exists(target) is False


def test_no_public_url_leads_to_a_file(mine: Client, path: str) -> None:
    answer = httpx.get(files(mine).get_public_url(path))

    assert answer.status_code in {400, 404}
    assert b"PNG" not in answer.content


def test_supabase_js_stores_files_behind_the_same_wall(stack: Stack, user: str) -> None:
    node_tests(
        SCRIPT,
        url=stack.facts["supabase_url"],
        key=stack.facts["publishable_key"],
        mine=stack.token(user),
        theirs=stack.token(f"{user}_other"),
        user=user,
    )
