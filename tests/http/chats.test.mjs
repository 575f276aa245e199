// What a browser does, in supabase-js. Run by test_supabase_js.py, which brings up the stack.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { randomUUID } from "node:crypto";

const require = createRequire(new URL("../../supabase/local/package.json", import.meta.url));
const { createClient } = require("@supabase/supabase-js");
const { url, key, mine, theirs } = JSON.parse(process.env.FACTS);

const signedIn = (token) => createClient(url, key, { accessToken: async () => token });
const me = signedIn(mine);
const them = signedIn(theirs);
const anonymous = createClient(url, key, { auth: { persistSession: false } });

const startSession = async (title = "A chat") => {
  const { data, error } = await me.from("chat_sessions").insert({ title }).select().single();
  assert.equal(error, null);
  return data;
};

const say = (client, session, content, more = {}) =>
  client.from("messages").insert({ session_id: session.id, content, ...more }).select();

const answers = async (session, count) => {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { data } = await me
      .from("messages")
      .select()
      .eq("session_id", session.id)
      .eq("role", "assistant")
      .order("position");
    if (data.length >= count) return data;
    assert.ok(Date.now() < deadline, `${data.length} of ${count} replies`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

test("an inserted message gets one stored answer", async () => {
  const session = await startSession();
  const { data, error } = await say(me, session, "What is a lease?");
  assert.equal(error, null);
  const [answer] = await answers(session, 1);
  assert.equal(answer.parent_id, data[0].id);
  assert.equal(answer.status, "completed");
  assert.equal(answer.content.at(-1).type, "text");
});

test("anonymous reads are refused", async () => {
  for (const table of ["assistants", "chat_sessions", "messages", "runs"]) {
    const { error, status } = await anonymous.from(table).select();
    assert.deepEqual([error.code, status], ["42501", 401]);
  }
});

test("another user sees, changes and deletes nothing", async () => {
  const session = await startSession();
  await say(me, session, "secret");
  for (const table of ["chat_sessions", "messages", "runs"]) {
    const { data, count } = await them.from(table).select("*", { count: "exact" });
    assert.deepEqual([data, count], [[], 0]);
  }
  const renamed = await them.from("chat_sessions").update({ title: "x" }).eq("id", session.id).select();
  assert.deepEqual(renamed.data, []);
  const deleted = await them.from("chat_sessions").delete().eq("id", session.id).select();
  assert.deepEqual(deleted.data, []);
});

test("a foreign and a missing session look alike", async () => {
  const session = await startSession();
  const foreign = await say(them, session, "let me in");
  const missing = await say(them, { id: randomUUID() }, "let me in");
  assert.deepEqual([foreign.error, foreign.status], [missing.error, missing.status]);
  assert.equal(foreign.error.code, "42501");
});

test("a browser does not write as the assistant", async () => {
  const session = await startSession();
  const { error, status } = await say(me, session, "I am the assistant", { role: "assistant" });
  assert.deepEqual([error.code, status], ["42501", 403]);
});

test("a retry with the same client_id is one message", async () => {
  const session = await startSession();
  const row = { session_id: session.id, content: "once", client_id: "c1" };
  const options = { onConflict: "session_id,client_id", ignoreDuplicates: true };
  for (const kept of [1, 0]) {
    const { data, error } = await me.from("messages").upsert(row, options).select();
    assert.equal(error, null);
    assert.equal(data.length, kept);
  }
  assert.equal((await answers(session, 1)).length, 1);
});

test("messages are found by words", async () => {
  const session = await startSession();
  await say(me, session, "the okapi hides");
  const found = await me.rpc("search_messages", { p_query: "okapi" });
  assert.ok(found.data.length >= 1);
  assert.deepEqual((await them.rpc("search_messages", { p_query: "okapi" })).data, []);
});
