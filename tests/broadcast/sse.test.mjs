// A browser that follows sessions by server-sent events. Run by test_session_stream.py.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { closeAll, follow, isLive, textOf, until, watchTimers } from "./project.mjs";

const require = createRequire(new URL("../../supabase/local/package.json", import.meta.url));
const { createClient } = require("@supabase/supabase-js");
const { url, key, user, api } = JSON.parse(process.env.FACTS);

const SESSION = "00000000-0000-4000-8000-0000000000aa";
const [R1, R2, M1, M2] = ["r1", "r2", "m1", "m2"];
const WORDS = ["über ", "😀 ", "\n\r\n ", "data: x\u2028 ", "id: 7"];
const EVENTS = [
  { run_id: R1, seq: 1, type: "run.started" },
  { run_id: R1, seq: 2, type: "message.delta", message_id: "m0", text: "taken back" },
  { run_id: R1, seq: 3, type: "message.discarded", message_id: "m0" },
  ...WORDS.map((text, at) => ({ run_id: R1, seq: 4 + at, type: "message.delta", message_id: M1, text })),
  { run_id: R1, seq: 9, type: "run.completed", message_id: M1, status: "completed", reason: null, error: null },
  { run_id: R2, seq: 1, type: "run.started" },
  { run_id: R2, seq: 2, type: "message.delta", message_id: M2, text: "half" },
  { run_id: R2, seq: 3, type: "run.failed", message_id: M2, status: "incomplete", reason: "failed", error: "model_unavailable" },
];
const idOf = (event) => `${event.run_id}:${event.seq ?? "end"}`;
const frame = (event, id) => `${id ? `id: ${id}\n` : ""}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
const openedFrame = (resumed, id) => `retry: 10\n${frame({ type: "stream.opened", resumed }, id)}`;
const closedFrame = (reason) => `retry: 10\n${frame({ type: "stream.closed", reason })}`;

/** A Data API whose rows a test chooses. */
const project = (tables = {}) => ({
  reads: 0,
  from(table) {
    this.reads += table === "messages";
    const query = {
      then: (done) => done({ data: structuredClone(tables[table] ?? []), error: null }),
    };
    for (const step of ["select", "eq", "order", "limit", "abortSignal"]) query[step] = () => query;
    return query;
  },
});

/** A service that answers each request as the test says. */
async function serve(answer) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push({ path: request.url, ...request.headers });
    answer(response, request.headers["last-event-id"] ?? null, asked.length);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  servers.push(server);
  return { asked, apiUrl: `http://127.0.0.1:${server.address().port}` };
}
const servers = [];
afterEach(async () => {
  await closeAll();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const start = (response) => response.writeHead(200, { "content-type": "text/event-stream" });
const behind = (id) => EVENTS.slice(EVENTS.findIndex((event) => idOf(event) === id) + 1);
const getToken = async () => "t";
const options = (service, more = {}) => ({ transport: "sse", apiUrl: service.apiUrl, getToken, ...more });
const hasEnded = (seen) => until(() => seen.statuses.get(R2)?.at(-1) === "failed", "the end");

test("a stream that is cut anywhere is the stream that was never cut", async () => {
  const whole = Buffer.from(openedFrame(false, "r0:end") + EVENTS.map((it) => frame(it, idOf(it))).join(""));
  for (let cut = 1; cut < whole.length; cut += 37) {
    const service = await serve((response, id, count) => {
      start(response);
      if (count === 1) return response.end(whole.subarray(0, cut));
      response.write(openedFrame(id !== null, id));
      for (const event of behind(id)) response.write(frame(event, idOf(event)));
    });
    const seen = follow(project(), SESSION, options(service));
    await hasEnded(seen);
    assert.equal(seen.texts.get(M1), WORDS.join(""), `${cut}`);
    assert.deepEqual(seen.statuses.get(R1).slice(-1), ["completed"]);
    assert.equal(service.asked.length, 2);
    await closeAll();
  }
});

test("a stream that is cut after every event brings each once", async () => {
  const service = await serve((response, id) => {
    start(response);
    const [next] = behind(id);
    response.end(openedFrame(id !== null, id ?? "r0:end") + (next ? frame(next, idOf(next)) : ""));
  });
  const seen = follow(project(), SESSION, options(service));
  await hasEnded(seen);

  assert.equal(seen.texts.get(M1), WORDS.join(""));
  assert.deepEqual(seen.statuses.get(R1), ["typing", "streaming", "typing", "streaming", "completed"]);
  const { status, reason, error } = seen.handle.state.runs.at(-1);
  assert.deepEqual([status, reason, error], ["failed", "failed", "model_unavailable"]);
});

test("the token goes into a header and never into the address", async () => {
  const service = await serve((response) => start(response).write(openedFrame(false, null)));
  const seen = follow(project(), SESSION, options(service, { getToken: async () => "secret" }));
  await isLive(seen);

  const [asked] = service.asked;
  assert.deepEqual([asked.path, asked.authorization], [`/sessions/${SESSION}/events`, "Bearer secret"]);
});

test("events that come again are not applied again", async () => {
  const service = await serve((response) => {
    start(response).write(openedFrame(false, "r0:end"));
    for (const event of [...EVENTS.slice(0, 7), ...EVENTS]) response.write(frame(event, idOf(event)));
  });
  const seen = follow(project(), SESSION, options(service));
  await hasEnded(seen);

  assert.equal(seen.texts.get(M1), WORDS.join(""));
});

test("a snapshot replaces what was heard of its run", async () => {
  const service = await serve((response, id, count) => {
    start(response).write(openedFrame(count > 1, id));
    if (count === 1) return response.end(EVENTS.slice(0, 6).map((it) => frame(it, idOf(it))).join(""));
    response.write(frame({ run_id: R1, seq: null, type: "run.snapshot", status: "completed", messages: [] }, `${R1}:end`));
  });
  const rows = [{ id: M1, role: "assistant", status: "completed", content: [{ type: "text", text: "All." }] }];
  const seen = follow(project({ messages: rows }), SESSION, options(service));
  await until(() => seen.statuses.get(R1)?.at(-1) === "completed", "completed");

  await until(() => seen.handle.state.messages.length === 1, "the row");
  assert.deepEqual(seen.handle.state.messages, rows);
});

test("a stream that starts anew has the rows read anew", async () => {
  const service = await serve((response, id, count) => {
    start(response);
    if (count < 3) response.end(openedFrame(count === 2, "r0:end"));
    else response.write(openedFrame(false, "r9:end"));
  });
  const data = project();
  const seen = follow(data, SESSION, options(service));
  await until(() => service.asked.length === 3, "three streams");
  await until(() => data.reads === 2, "two readings");
  await isLive(seen);
  await sleep(50);

  assert.equal(data.reads, 2);
});

test("who has to show a fresh token does so at once and goes on", async () => {
  const tokens = [];
  const service = await serve((response, id, count) => {
    start(response);
    if (count > 1) return response.write(openedFrame(true, id) + behind(id).map((it) => frame(it, idOf(it))).join(""));
    response.end(openedFrame(false, "r0:end") + frame(EVENTS[0], idOf(EVENTS[0])) + closedFrame("reauth").replace("retry: 10", "retry: 20000"));
  });
  const getToken = async () => `t${tokens.push("")}`;
  const seen = follow(project(), SESSION, options(service, { getToken }));
  await hasEnded(seen);

  assert.deepEqual(service.asked.map((it) => [it.authorization, it["last-event-id"]]), [["Bearer t1", undefined], ["Bearer t2", `${R1}:1`]]);
  assert.deepEqual(seen.errors, []);
});

test("a refused token is replaced once, then asked for less and less often", async () => {
  const wishes = [];
  const service = await serve((response) => response.writeHead(401).end());
  const seen = follow(project(), SESSION, options(service, { getToken: async (wish) => wishes.push(wish.skipCache) && "t" }));
  await until(() => service.asked.length >= 2, "two tries");
  await sleep(400);

  assert.deepEqual(wishes, [false, true]);
  assert.deepEqual(seen.errors, [["HTTP 401", true]]);
  assert.equal(seen.handle.state.connection, "lost");
});

test("a session that is not there ends it", async () => {
  const service = await serve((response) => response.writeHead(404).end("{}"));
  const seen = follow(project(), SESSION, options(service));
  await until(() => seen.handle.state.connection === "closed", "closed");
  await sleep(100);

  assert.deepEqual(seen.errors, [["There is no such session, or it is not yours.", false]]);
  assert.equal(service.asked.length, 1);
});

test("a session that is deleted meanwhile ends it", async () => {
  const service = await serve((response) => start(response).end(openedFrame(false, null) + closedFrame("gone")));
  const seen = follow(project(), SESSION, options(service));
  await until(() => seen.handle.state.connection === "closed", "closed");

  assert.equal(seen.errors.at(-1)[1], false);
});

for (const status of [429, 500, 503]) {
  test(`a service that answers ${status} is asked again when it says`, async () => {
    const at = [];
    const service = await serve((response, id, count) => {
      at.push(Date.now());
      if (count === 1) return response.writeHead(status, { "retry-after": "1" }).end();
      start(response).write(openedFrame(false, null));
    });
    const seen = follow(project(), SESSION, options(service));
    await isLive(seen);

    assert.deepEqual(seen.errors, [[`HTTP ${status}`, true]]);
    assert.ok(at[1] - at[0] >= 1_000);
  });
}

test("a service that shuts down is left for another", async () => {
  const service = await serve((response, id, count) => {
    start(response);
    if (count === 1) return response.end(openedFrame(false, "r0:end") + closedFrame("shutdown"));
    response.write(openedFrame(true, id) + EVENTS.map((it) => frame(it, idOf(it))).join(""));
  });
  const seen = follow(project(), SESSION, options(service));
  await hasEnded(seen);

  assert.equal(seen.views.some((view) => view.connection === "lost"), true);
  assert.equal(service.asked[1]["last-event-id"], "r0:end");
});

test("a stream that falls silent is opened anew, and a heartbeat is a sound", async () => {
  const service = await serve((response, id, count) => {
    start(response).write(openedFrame(count > 1, "r0:end"));
    if (count === 1) return; // never heard again
    const beat = setInterval(() => response.write(": still here\n\n"), 50);
    response.on("close", () => clearInterval(beat));
  });
  const seen = follow(project(), SESSION, options(service, { silenceMs: 300 }));
  await until(() => service.asked.length === 2, "a second stream");
  await sleep(700);

  assert.equal(service.asked.length, 2);
  assert.deepEqual(seen.errors, [["The stream fell silent.", true]]);
});

test("events of a kind that is not known yet do no harm", async () => {
  const strange = { run_id: R1, seq: 2, type: "weather.changed", to: "rain" };
  const later = [EVENTS[0], strange, { ...EVENTS[3], seq: 3 }, { ...EVENTS[8], seq: 4 }];
  const service = await serve((response) => {
    start(response).write(openedFrame(false, null) + later.map((it) => frame(it, idOf(it))).join(""));
  });
  const seen = follow(project(), SESSION, options(service));
  await until(() => seen.statuses.get(R1)?.at(-1) === "completed", "completed");

  assert.equal(seen.texts.get(M1), WORDS[0]);
});

test("frames may end as the standard allows", async () => {
  const service = await serve((response) => {
    start(response).write(openedFrame(false, null).replaceAll("\n", "\r\n"));
    response.write(EVENTS.map((it) => frame(it, idOf(it)).replaceAll("\n", "\r")).join(""));
    response.write(": done\n\n");
  });
  const seen = follow(project(), SESSION, options(service));
  await hasEnded(seen);

  assert.equal(seen.texts.get(M1), WORDS.join(""));
});

test("without an address or a token it says so at once", () => {
  for (const missing of [{ apiUrl: undefined }, { getToken: undefined }]) {
    assert.throws(() => follow(project(), SESSION, options({ apiUrl: "http://x" }, missing)), TypeError);
  }
});

for (const moment of ["before the answer", "in the stream", "while it waits to come back"]) {
  test(`nothing is left when it is closed ${moment}`, async () => {
    const timers = watchTimers();
    let hungUp = moment === "while it waits to come back";
    try {
      const service = await serve((response) => {
        response.on("close", () => (hungUp = true));
        if (moment === "in the stream") start(response).write(openedFrame(false, null));
        else if (hungUp) response.writeHead(503).end();
      });
      const seen = follow(project(), SESSION, options(service));
      if (moment === "in the stream") await isLive(seen);
      else await until(() => service.asked.length === 1 && (!hungUp || seen.errors.length), "asked");

      await seen.handle.close();
      const views = seen.views.length;

      assert.equal(timers.left.size, 0);
      await until(() => hungUp, "the service sees it");
      await sleep(100);
      assert.deepEqual([seen.views.length, seen.handle.state.connection], [views, "closed"]);
      assert.equal(service.asked.length, 1);
    } finally {
      timers.restore();
    }
  });
}

const token = async () => (await fetch(`${url}/tokens/${user}/60`)).text();
const me = createClient(url, key, { accessToken: token });
const ok = ({ data, error }) => {
  assert.equal(error, null);
  return data;
};
after(() => me.removeAllChannels());

test("the service itself is followed from the typing to the stored answer", async () => {
  const session = ok(await me.from("chat_sessions").insert({ title: "A chat" }).select().single());
  const seen = follow(me, session.id, { transport: "sse", apiUrl: api, getToken: token });
  await isLive(seen);

  const content = `offline: ${JSON.stringify({ deltas: 30, first_delay_ms: 300, delay_ms: 30, text: WORDS.join("") })}`;
  ok(await me.from("messages").insert({ session_id: session.id, content }).select().single());
  await until(() => seen.handle.state.messages.some((it) => it.role === "assistant" && it.status === "completed"), "the answer");

  const rows = ok(await me.from("messages").select().eq("session_id", session.id).order("position"));
  assert.deepEqual(seen.handle.state.messages, rows);
  assert.equal(seen.texts.get(rows[1].id), textOf(rows[1]));
  assert.deepEqual([...seen.statuses.values()][0].filter((it) => it !== "waiting"), ["typing", "streaming", "completed"]);
});
