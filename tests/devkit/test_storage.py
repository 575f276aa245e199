"""The local Storage: bytes behind the policies of storage.objects."""

import json
import subprocess

import httpx
import pytest
from storage3.exceptions import StorageApiError

from backend.devkit.data_api import PROGRAM, node
from tests.devkit.exchange import ask, run_sql, supabase_py, user_token
from tests.support.stack import Stack

POLICIES = """
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values
    ('files', 'files', false, null, null),
    ('shown', 'shown', true, null, null),
    ('small', 'small', false, 10, array['text/plain', 'image/*']);
create policy "own folder" on storage.objects to authenticated
    using ((storage.foldername(name))[1] = (select auth.jwt()) ->> 'sub')
    with check ((storage.foldername(name))[1] = (select auth.jwt()) ->> 'sub');
create policy "buckets are known" on storage.buckets for select to authenticated using (true);
"""

JAVASCRIPT = """
import { createClient } from "@supabase/supabase-js";
const { url, key, token } = JSON.parse(process.argv[1]);
const files = createClient(url, key, { accessToken: async () => token }).storage.from("files");
const text = async ({ data, error }) => (error ? error.message : await data.text());
const said = {};
const file = new Blob(["hello"], { type: "text/plain" });
said.path = (await files.upload("user_js/a/one.txt", file)).data.path;
await files.upload("user_js/two.txt", "raw bytes", { contentType: "text/plain", metadata: { k: "v" } });
said.read = await text(await files.download("user_js/a/one.txt"));
said.listed = (await files.list("user_js")).data.map(({ name, id }) => [name, id !== null]);
said.signed = await (await fetch((await files.createSignedUrl("user_js/two.txt", 60)).data.signedUrl)).text();
said.many = (await files.createSignedUrls(["user_js/two.txt", "nothing"], 60)).data.map((it) => it.error === null);
said.info = (await files.info("user_js/two.txt")).data.metadata;
said.copied = (await files.copy("user_js/two.txt", "user_js/three.txt")).error;
said.moved = (await files.move("user_js/three.txt", "user_js/four.txt")).error;
said.exists = [(await files.exists("user_js/four.txt")).data, (await files.exists("user_js/three.txt")).data];
const { data: upload } = await files.createSignedUploadUrl("user_js/later.txt");
said.later = (await files.uploadToSignedUrl("user_js/later.txt", upload.token, file)).error;
said.removed = (await files.remove(["user_js/four.txt", "user_js/two.txt", "user_bob/x"])).data.length;
console.log(JSON.stringify(said));
"""


@pytest.fixture(scope="module", autouse=True)
def buckets(stack: Stack) -> None:
    run_sql(stack, POLICIES)


def test_an_owner_uploads_reads_lists_and_removes(stack: Stack) -> None:
    with supabase_py(stack, user_token(stack, "user_eve")) as client:
        files = client.storage.from_("files")
        files.upload("user_eve/deep/a.txt", b"hello", {"content-type": "text/plain"})
        listed = files.list("user_eve")
        read = files.download("user_eve/deep/a.txt")
        url = str(files.create_signed_url("user_eve/deep/a.txt", 60)["signedURL"])
        removed = files.remove(["user_eve/deep/a.txt"])

    assert [entry["name"] for entry in listed] == ["deep"]
    assert read == b"hello"
    assert httpx.get(url).status_code == 400
    assert len(removed) == 1


def test_another_user_sees_and_does_nothing(stack: Stack) -> None:
    path = "user_ada/mine.txt"
    with supabase_py(stack, user_token(stack)) as client:
        client.storage.from_("files").upload(path, b"mine")

    with supabase_py(stack, user_token(stack, "user_bob")) as other:
        files = other.storage.from_("files")
        with pytest.raises(StorageApiError, match="Object not found"):
            files.download(path)
        with pytest.raises(StorageApiError, match="row-level security"):
            files.upload("user_ada/theirs.txt", b"theirs")
        with pytest.raises(StorageApiError, match="row-level security"):
            files.upload(path, b"theirs", {"upsert": "true"})
        with pytest.raises(StorageApiError, match="row-level security"):
            files.create_signed_upload_url("user_ada/theirs.txt")
        assert files.list("user_ada") == []
        assert files.remove([path]) == []

    with supabase_py(stack, user_token(stack)) as client:
        assert client.storage.from_("files").download(path) == b"mine"


def test_nobody_signed_in_sees_nothing_of_a_private_bucket(stack: Stack) -> None:
    assert ask(stack, "GET", "/storage/v1/object/files/user_ada/mine.txt").status_code == 400
    assert ask(stack, "POST", "/storage/v1/object/list/files", json={"prefix": ""}).json() == []


def test_a_public_bucket_needs_no_key(stack: Stack) -> None:
    with supabase_py(stack, user_token(stack)) as client:
        files = client.storage.from_("shown")
        files.upload("user_ada/page.html", b"<script>", {"content-type": "text/html"})
        answer = httpx.get(files.get_public_url("user_ada/page.html"))

    assert answer.content == b"<script>"
    assert answer.headers["content-type"].startswith("text/plain")


def test_an_upload_replaces_only_when_asked_to(stack: Stack) -> None:
    with supabase_py(stack, user_token(stack)) as client:
        files = client.storage.from_("files")
        files.upload("user_ada/once.txt", b"one")
        with pytest.raises(StorageApiError, match="already exists"):
            files.upload("user_ada/once.txt", b"two")
        files.upload("user_ada/once.txt", b"three", {"upsert": "true"})

        assert files.download("user_ada/once.txt") == b"three"


def test_a_bucket_limits_size_and_type(stack: Stack) -> None:
    with supabase_py(stack, user_token(stack)) as client:
        files = client.storage.from_("small")
        files.upload("user_ada/fits.png", b"0123456789", {"content-type": "image/png"})
        with pytest.raises(StorageApiError, match="maximum allowed size"):
            files.upload("user_ada/large.txt", b"0123456789a", {"content-type": "text/plain"})
        with pytest.raises(StorageApiError, match="not supported"):
            files.upload("user_ada/page.html", b"x", {"content-type": "text/html"})


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_a_signed_url_without_its_signature_is_refused(stack: Stack, token: str) -> None:
    path = f"/storage/v1/object/sign/files/user_ada/mine.txt?token={token}"

    assert ask(stack, "GET", path).json()["error"] == "InvalidJWT"


@pytest.mark.parametrize("name", ["..%2f..%2fkeys.json", "user_ada/..%2f..%2fkeys.json"])
def test_no_name_leads_out_of_the_folder(stack: Stack, name: str) -> None:
    answer = ask(stack, "GET", f"/storage/v1/object/files/{name}", token=user_token(stack))

    assert answer.status_code == 400
    assert b"sb_secret" not in answer.content


def test_bytes_of_replaced_and_removed_objects_are_gone(stack: Stack) -> None:
    folder = stack.data / "storage"
    before = set(folder.iterdir()) if folder.exists() else set()
    with supabase_py(stack, user_token(stack)) as client:
        files = client.storage.from_("files")
        files.upload("user_ada/gone.txt", b"one")
        files.upload("user_ada/gone.txt", b"two", {"upsert": "true"})
        files.remove(["user_ada/gone.txt"])

    assert set(folder.iterdir()) == before


def test_supabase_js_uses_every_call(stack: Stack) -> None:
    told = {
        "url": stack.facts["supabase_url"],
        "key": stack.facts["publishable_key"],
        "token": user_token(stack, "user_js"),
    }
    done = subprocess.run(
        [node(), "--input-type=module", "-e", JAVASCRIPT, json.dumps(told)],
        cwd=PROGRAM,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "path": "user_js/a/one.txt",
        "read": "hello",
        "listed": [["a", False], ["two.txt", True]],
        "signed": "raw bytes",
        "many": [True, False],
        "info": {"k": "v"},
        "copied": None,
        "moved": None,
        "exists": [True, False],
        "later": None,
        "removed": 2,
    }
