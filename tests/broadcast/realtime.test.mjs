// A browser that follows sessions by Realtime, in supabase-js. Run by test_session_stream.py.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { closeAll, follow as watch, isLive, textOf, until, watchTimers } from "./project.mjs";

const require = createRequire(new URL("../../supabase/local/package.json", import.meta.url));
const { createClient } = require("@supabase/supabase-js");
const { url, key, user, seeds } = JSON.parse(process.env.FACTS);

const token = async (who, seconds = 60) => (await fetch(`${url}/tokens/${who}/${seconds}`)).text();
const signedIn = (accessToken) => createClient(url, key, { accessToken });
const me = signedIn(() => token(user));
const them = signedIn(() => token(`${user}_other`));

const faults = async (asked = {}) => {
  const answer = await fetch(`${url}/faults`, { method: "POST", body: JSON.stringify(asked) });
  return answer.json();
};

const ok = ({ data, error }) => {
  assert.equal(error, null);
  return data;
};
const startSession = async () => ok(await me.from("chat_sessions").insert({ title: "A chat" }).select().single());
const say = async (session, content) =>
  ok(await me.from("messages").insert({ session_id: session.id, content }).select().single());
const script = (keys) => `offline: ${JSON.stringify(keys)}`;

const quietMs = { live: 1_000, other: 200, most: 2_000 };
const follow = (session, { by = me, ...options } = {}) => watch(by, session.id, { quietMs, ...options });
afterEach(async () => {
  await closeAll();
  await faults();
});

const answers = (seen) => seen.handle.state.messages.filter((it) => it.role === "assistant" && it.status !== "streaming");
const hasAnswered = (seen, count) => until(() => answers(seen).length >= count, `${count} answers`, 40);
const ended = (seen) => seen.handle.state.runs.map((run) => run.status);

async function assertAsStored(seen, session) {
  const rows = ok(await me.from("messages").select().eq("session_id", session.id).order("position"));
  await until(() => seen.handle.state.messages.length === rows.length, "all rows");
  assert.deepEqual(seen.handle.state.messages, rows);
  for (const row of rows) {
    // Whatever was seen of an answer while it was said is how it begins.
    assert.ok(textOf(row).startsWith(seen.texts.get(row.id) ?? ""), row.id);
  }
}

test("an answer is typed, said and stored before the browser's eyes", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);

  await say(session, script({ deltas: 30, first_delay_ms: 300, delay_ms: 40, text: "über 😀 \n ok " }));
  await hasAnswered(seen, 1);

  const [statuses] = seen.statuses.values();
  await until(() => statuses.at(-1) === "completed", "completed");
  assert.deepEqual(statuses.filter((it) => it !== "waiting"), ["typing", "streaming", "completed"]);
  // What was shown never went away.
  const shown = seen.views.map((view) => view.messages.filter((it) => it.role === "assistant").map(textOf).join(""));
  shown.reduce((before, now) => assert.ok(now.startsWith(before), `${before} → ${now}`) ?? now);
  const [answer] = answers(seen);
  const said = new Set(seen.views.flatMap((view) => view.messages).filter((it) => it.id === answer.id && it.status === "streaming").map(textOf));
  assert.ok(said.size >= 5, `${said.size} pieces`);
  assert.equal(seen.texts.get(answer.id), textOf(answer));
  await assertAsStored(seen, session);
  assert.deepEqual(seen.errors, []);
});

test("a view never changes", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);
  const before = structuredClone(seen.handle.state);
  const kept = seen.handle.state;

  await say(session, script({ deltas: 5, delay_ms: 20 }));
  await hasAnswered(seen, 1);

  assert.deepEqual(kept, before);
  assert.notEqual(seen.handle.state, kept);
});

for (const seed of seeds) {
  test(`messages that are lost, doubled and late are made up for (${seed})`, async () => {
    const session = await startSession();
    const seen = follow(session);
    await isLive(seen);
    await faults({ drop: 0.25, double: 0.2, late: 0.2, seed });

    for (const no of [1, 2, 3]) await say(session, script({ deltas: 20, delay_ms: 30, text: `answer ${no} ` }));
    await hasAnswered(seen, 3);

    await until(() => ended(seen).every((it) => it === "completed"), "all ended");
    await assertAsStored(seen, session);
  });
}

test("what is missing is read as soon as the next message shows it", async () => {
  const session = await startSession();
  const seen = follow(session, { quietMs: { live: 60_000, other: 60_000 } });
  await isLive(seen);
  await say(session, script({ deltas: 60, delay_ms: 30, text: "word " }));
  await until(() => seen.texts.size === 1, "some text");

  await faults({ drop: 1 });
  const before = [...seen.texts.values()][0];
  await sleep(500);
  assert.equal([...seen.texts.values()][0], before);
  await faults();
  await hasAnswered(seen, 1);

  await assertAsStored(seen, session);
});

test("connections that are cut are made up for", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);
  await faults({ cut: 0.1 });

  for (const no of [1, 2]) await say(session, script({ deltas: 40, delay_ms: 30, text: `answer ${no} ` }));
  await hasAnswered(seen, 2);

  await assertAsStored(seen, session);
  await faults();
  await until(() => seen.handle.state.connection === "live", "live again", 40);
});

test("the last word is found though it was lost and nothing follows", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);
  await faults({ drop: 1 });

  await say(session, script({ deltas: 3, delay_ms: 20 }));
  seen.handle.refresh();
  await hasAnswered(seen, 1);

  await assertAsStored(seen, session);
});

test("a channel that the server closes is joined anew", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);

  await faults({ shut_now: "Too many messages per second" });
  await until(() => seen.handle.state.connection === "lost", "lost");
  await isLive(seen);

  await say(session, script({ deltas: 3, delay_ms: 20 }));
  await hasAnswered(seen, 1);
  await assertAsStored(seen, session);
});

test("who comes in the middle of an answer sees all of it", async () => {
  const session = await startSession();
  await say(session, script({ deltas: 60, delay_ms: 30, text: "word " }));
  await sleep(600);
  const seen = follow(session);
  await until(() => seen.texts.size === 1, "some text");

  await hasAnswered(seen, 1);

  const [answer] = answers(seen);
  assert.equal(seen.texts.get(answer.id), textOf(answer));
  await assertAsStored(seen, session);
});

test("a failure is a final state", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);

  await say(session, script({ deltas: 5, delay_ms: 20, fault: { kind: "fatal", after: 2 } }));
  await hasAnswered(seen, 1);

  await until(() => seen.handle.state.runs[0].status === "failed", "failed");
  assert.ok(seen.handle.state.runs[0].error);
  await assertAsStored(seen, session);
});

test("a run that waits for a tool says which, and goes on", async () => {
  const tools = [{ type: "function", function: { name: "draw_card" } }];
  const assistant = ok(
    await me.from("assistants").insert({ name: "Dice", model: "offline:demo", tools }).select().single(),
  );
  const session = ok(
    await me.from("chat_sessions").insert({ assistant_id: assistant.id }).select().single(),
  );
  const seen = follow(session);
  await isLive(seen);

  await say(session, script({ tool_calls: [{ name: "draw_card", call_id: "c" }], text: "So: " }));
  await until(() => seen.handle.state.runs[0]?.status === "requires_action", "requires action");
  const [run] = seen.handle.state.runs;
  assert.deepEqual(run.toolCalls.map((it) => [it.call_id, it.name]), [["c", "draw_card"]]);
  ok(await me.rpc("submit_tool_outputs", { p_run: run.id, p_outputs: [{ call_id: "c", output: 6 }] }));
  seen.handle.refresh();
  await until(() => seen.handle.state.runs[0].status === "completed", "completed");

  assert.deepEqual(seen.handle.state.runs[0].toolCalls, []);
  await hasAnswered(seen, 1);
});

test("a run that is cancelled ends before the browser's eyes", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);
  const message = await say(session, script({ deltas: 600, delay_ms: 50 }));
  await until(() => seen.texts.size === 1, "some text");
  const { id } = ok(await me.from("runs").select("id").eq("message_id", message.id).single());

  ok(await me.rpc("cancel_run", { p_run: id }));
  await hasAnswered(seen, 1);

  await until(() => seen.handle.state.runs[0].status === "cancelled", "cancelled");
  await assertAsStored(seen, session);
});

test("an end that no worker has brought about comes by Realtime", async () => {
  const assistant = ok(
    await me.from("assistants").insert({ name: "D", model: "offline:demo", tools: [{ type: "function", function: { name: "draw_card" } }] }).select().single(),
  );
  const session = ok(await me.from("chat_sessions").insert({ assistant_id: assistant.id }).select().single());
  const seen = follow(session, { quietMs: { live: 60_000, other: 60_000 } });
  await isLive(seen);
  await say(session, script({ tool_calls: [{ name: "draw_card", call_id: "c" }] }));
  await until(() => seen.handle.state.runs[0]?.status === "requires_action", "requires action");

  ok(await me.rpc("cancel_run", { p_run: seen.handle.state.runs[0].id }));

  await until(() => seen.handle.state.runs[0].status === "cancelled", "cancelled", 5);
});

test("an attempt that fails after its first words takes them back", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);

  await say(session, script({ deltas: 6, delay_ms: 60, fault: { kind: "retryable", after: 4 } }));
  await hasAnswered(seen, 1);

  await assertAsStored(seen, session);
  assert.equal(answers(seen).length, 1);
});

test("nobody follows a session of somebody else", async () => {
  const session = await startSession();
  const seen = follow(session, { by: them });

  await until(() => seen.errors.length > 0, "an error");
  assert.equal(seen.views.some((view) => view.messages.length || view.connection === "live"), false);
  assert.match(seen.errors[0][0], /Unauthorized/);
});

test("a session that is deleted ends it", async () => {
  const session = await startSession();
  const seen = follow(session);
  await isLive(seen);

  ok(await me.from("chat_sessions").delete().eq("id", session.id).select());
  seen.handle.refresh();

  await until(() => seen.handle.state.connection === "closed", "closed");
  assert.deepEqual(seen.errors, [["There is no such session, or it is not yours.", false]]);
});

test("a project without Realtime answers all the same", async () => {
  await faults({ join: "RealtimeDisabledForTenant: Realtime disabled for this tenant" });
  const session = await startSession();
  const seen = follow(session);
  await until(() => seen.handle.state.connection === "lost", "lost");

  await say(session, script({ deltas: 10, delay_ms: 30 }));
  seen.handle.refresh();
  await hasAnswered(seen, 1);

  await assertAsStored(seen, session);
});

test("a session that is left and followed again at once is followed", async () => {
  const session = await startSession();
  const first = follow(session);
  await isLive(first);
  first.handle.close();
  const second = follow(session);
  await isLive(second);

  await say(session, "hello");
  await hasAnswered(second, 1);

  assert.equal((await faults()).following, 1);
});

test("who follows a session twice is told, and has it when the other lets go", async () => {
  const session = await startSession();
  const first = follow(session);
  await isLive(first);
  const second = follow(session);
  await until(() => second.errors.length > 0, "an error");
  assert.match(second.errors[0][0], /followed already/);
  assert.equal(first.handle.state.connection, "live");

  await first.handle.close();
  await isLive(second);
});

test("a token that runs out is replaced", async () => {
  const session = await startSession();
  let asked = 0;
  const brief = signedIn(() => token(user, asked++ < 4 ? 3 : 60));
  const seen = follow(session, { by: brief });
  await isLive(seen);
  await until(() => seen.handle.state.connection === "lost", "lost", 10);
  await isLive(seen);

  await say(session, "hello");
  await hasAnswered(seen, 1);
});

test("nothing of ours is left when it is closed", async () => {
  const session = await startSession();
  await say(session, script({ deltas: 100, delay_ms: 30 }));
  const timers = watchTimers();
  try {
    const seen = follow(session);
    await isLive(seen);
    await until(() => seen.texts.size === 1, "some text");
    await seen.handle.close();
    const views = seen.views.length;
    assert.equal(timers.left.size, 0);
    assert.deepEqual(me.getChannels(), []);
    assert.equal((await faults()).following, 0);
    await sleep(300);
    assert.equal(seen.views.length, views);
    assert.equal(seen.handle.state.connection, "closed");
  } finally {
    timers.restore();
  }
});
