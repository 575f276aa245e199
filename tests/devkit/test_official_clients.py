"""supabase-py and supabase-js, unchanged, against the local stack."""

import json
import subprocess
from typing import Any

import pytest
from postgrest import CountMethod
from postgrest.exceptions import APIError

from backend.devkit.data_api import PROGRAM, node
from tests.devkit.exchange import supabase_py, user_token
from tests.support.stack import Stack

JAVASCRIPT = """
import { createClient } from "@supabase/supabase-js";
const { url, key, token } = JSON.parse(process.argv[1]);
const db = createClient(url, key, { accessToken: async () => token });
const file = new Blob(["hello"], { type: "text/plain" });
const said = {};
const { data: note } = await db.from("notes").insert({ body: "from js" }).select().single();
said.body = note.body;
said.updated = (await db.from("notes").update({ body: "changed" }).eq("id", note.id).select()).data[0].body;
said.count = (await db.from("notes").select("*", { count: "exact", head: true })).count;
said.refused = (await db.from("notes").insert({ owner: "user_bob", body: "x" })).error.code;
said.role = (await db.rpc("seen")).data.role;
said.deleted = (await db.from("notes").delete().eq("id", note.id)).status;
console.log(JSON.stringify(said));
"""


def test_supabase_js_reads_and_writes(stack: Stack) -> None:
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
        "body": "from js",
        "updated": "changed",
        "count": 1,
        "refused": "42501",
        "role": "authenticated",
        "deleted": 204,
    }


def test_supabase_py_reads_and_writes(stack: Stack) -> None:
    with supabase_py(stack, user_token(stack, "user_py")) as mine:
        notes = mine.table("notes")
        inserted: Any = notes.insert({"body": "from py", "extra": {"a": [1]}}).execute()
        mine_only = notes.update({"body": "changed"}).eq("id", inserted.data[0]["id"])
        changed: Any = mine_only.execute()
        counted = notes.select("*", count=CountMethod.exact).execute()

    assert changed.data[0]["body"] == "changed"
    assert counted.count == 1


def test_supabase_py_is_told_what_is_refused(stack: Stack) -> None:
    with supabase_py(stack, user_token(stack, "user_other")) as theirs:
        found = theirs.table("notes").select("*").execute().data
        with pytest.raises(APIError) as refused:
            theirs.table("notes").insert({"body": "x", "owner": "user_py"}).execute()

    assert found == []
    assert refused.value.code == "42501"


def test_the_library_behind_the_data_api_is_the_one_that_was_examined() -> None:
    package = json.loads(
        (PROGRAM / "node_modules" / "@supabase" / "lite" / "package.json").read_text()
    )

    assert package["version"] == "0.10.0"
