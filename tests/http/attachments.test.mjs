// What a browser does with files, in supabase-js. Run by test_attachments_over_http.py.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { randomUUID } from "node:crypto";

const require = createRequire(new URL("../../supabase/local/package.json", import.meta.url));
const { createClient } = require("@supabase/supabase-js");
const { url, key, mine, theirs, user } = JSON.parse(process.env.FACTS);

const signedIn = (token) => createClient(url, key, { accessToken: async () => token });
const bucket = (client) => client.storage.from("attachments");
const me = bucket(signedIn(mine));
const them = bucket(signedIn(theirs));
const anonymous = bucket(createClient(url, key, { auth: { persistSession: false } }));

const newPath = (name = "photo 1.png") => `${user}/${randomUUID()}/${name}`;
const bytes = new Uint8Array([137, 80, 78, 71, 0, 255, 13, 10]);
const picture = new Blob([bytes], { type: "image/png" });
const said = ({ error }) => [error?.status, error?.message];

test("an uploaded file comes back byte for byte", async () => {
  const path = newPath();
  assert.equal((await me.upload(path, picture)).data.path, path);
  const { data } = await me.download(path);
  assert.equal(data.type, "image/png");
  assert.deepEqual(new Uint8Array(await data.arrayBuffer()), bytes);
});

test("a string is text", async () => {
  const path = newPath("note.txt");
  assert.equal((await me.upload(path, "What is a lease?")).error, null);
  assert.equal(await (await me.download(path)).data.text(), "What is a lease?");
});

test("a signed URL needs no token of a user", async () => {
  const path = newPath();
  await me.upload(path, picture);
  const { data } = await me.createSignedUrl(path, 60);
  const answer = await fetch(data.signedUrl);
  assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), bytes);
});

test("a foreign and a missing file look alike", async () => {
  const path = newPath();
  await me.upload(path, picture);
  for (const client of [them, anonymous]) {
    for (const call of ["download", "info"]) {
      const [foreign, missing] = [await client[call](path), await client[call](newPath())];
      assert.equal(foreign.data, null);
      assert.deepEqual(said(foreign), said(missing));
    }
    const [foreign, missing] = [
      await client.createSignedUrl(path, 60),
      await client.createSignedUrl(newPath(), 60),
    ];
    assert.deepEqual([foreign.data, ...said(foreign)], [null, ...said(missing)]);
    assert.ok(!(await client.remove([path])).data?.length);
    assert.ok(!(await client.list(path.slice(0, path.lastIndexOf("/")))).data?.length);
  }
  assert.equal((await me.list(path.slice(0, path.lastIndexOf("/")))).data.length, 1);
});

test("files that run in a browser are refused", async () => {
  for (const type of ["text/html", "image/svg+xml", "application/octet-stream", ""]) {
    const { error } = await me.upload(newPath("page"), new Blob(["<script>"], { type }));
    assert.match(error.message, /mime type .* is not supported/, type);
  }
});

test("a file is never replaced, moved or copied", async () => {
  const path = newPath();
  await me.upload(path, picture);
  const other = new Blob(["other"], { type: "image/png" });
  for (const attempt of [
    me.upload(path, other),
    me.upload(path, other, { upsert: true }),
    me.update(path, other),
    me.move(path, newPath()),
    me.copy(path, newPath()),
    them.upload(path, other, { upsert: true }),
    them.copy(path, path.replace(user, `${user}_other`)),
  ]) {
    assert.notEqual((await attempt).error, null);
  }
  assert.deepEqual(new Uint8Array(await (await me.download(path)).data.arrayBuffer()), bytes);
});
