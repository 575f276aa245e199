// What is asked of the database, and when. Run by test_session_stream.py.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { closeAll, follow, isLive, textOf, until } from "./project.mjs";

const delta = (seq) => ({ run_id: "1", seq, type: "message.delta", message_id: "m", text: `${seq} ` });
const EVENTS = [{ run_id: "1", seq: 1, type: "run.started" }, ...[2, 3, 4, 5, 6, 7, 8, 9].map(delta)];

afterEach(closeAll);

/** A project whose answers wait for the test, and whose Realtime says what it is told. */
class Project {
  stored = 0;
  reads = 0;
  failures = [];
  gate = Promise.resolve();
  realtime = { setAuth: async () => {} };

  getChannels = () => [];
  removeChannel = async () => "ok";

  channel() {
    const channel = {
      on: (_kind, _filter, hear) => {
        this.say = (...events) => hear({ payload: { events } });
        return channel;
      },
      subscribe: (tell) => {
        this.tell = tell;
        queueMicrotask(() => tell("SUBSCRIBED"));
        return channel;
      },
    };
    return channel;
  }

  from = (table) => this.#answer(async () => (table === "runs" ? [{ id: "1", status: "running" }] : []));

  rpc(_name, { p_last_event_id: last }) {
    return this.#answer(async () => {
      this.reads += 1;
      const from = last ? Number(last.split(":")[1]) : 0;
      const events = EVENTS.slice(from, this.stored);
      await this.gate;
      return { resumed: last !== null, last_event_id: last ?? "0:end", events, more: false };
    });
  }

  #answer(work) {
    const query = {
      then: (done, fail) =>
        (this.failures.length
          ? Promise.resolve({ data: null, error: { message: this.failures.pop() } })
          : work().then((data) => ({ data, error: null }))
        ).then(done, fail),
    };
    for (const step of ["select", "eq", "order", "limit", "abortSignal"]) query[step] = () => query;
    return query;
  }
}

async function following(options) {
  const project = new Project();
  project.stored = 2;
  const seen = follow(project, "s", { quietMs: { live: 60_000, other: 60_000 }, ...options });
  await isLive(seen);
  project.reads = 0;
  seen.text = () => seen.handle.state.messages.map(textOf).join("");
  return { project, seen };
}

test("what follows on is shown without a question", async () => {
  const { project, seen } = await following();

  project.say(EVENTS[2], EVENTS[3]);

  assert.deepEqual([seen.text(), project.reads], ["2 3 4 ", 0]);
});

test("a gap is one question, however many messages show it", async () => {
  const { project, seen } = await following();
  project.stored = 7;
  for (const event of EVENTS.slice(4, 7)) project.say(event);
  await until(() => seen.text() === "2 3 4 5 6 7 ", "the text");
  await sleep(20);

  assert.equal(project.reads, 1);
});

test("what comes while the database answers is not asked for again", async () => {
  const { project, seen } = await following();
  let answer;
  project.gate = new Promise((done) => (answer = done));
  project.stored = 5;
  project.say(EVENTS[4]);
  await until(() => project.reads === 1, "the question");
  for (const event of EVENTS.slice(5, 8)) project.say(event);
  answer();
  await until(() => seen.text() === "2 3 4 5 6 7 8 ", "the text");
  await sleep(20);

  assert.equal(project.reads, 1);
});

test("an event that never fits does not keep the database busy", async () => {
  const { project } = await following();
  for (let count = 0; count < 5; count += 1) {
    project.say({ run_id: "9", seq: 7, type: "message.delta", message_id: "x", text: "?" });
    await sleep(20);
  }

  assert.equal(project.reads, 5);
});

test("a message without events is a reason to read", async () => {
  const { project, seen } = await following();
  project.stored = 4;

  project.say();

  await until(() => seen.text() === "2 3 4 ", "the text");
});

test("silence while somebody is at work is a reason to read, less and less often", async () => {
  const { project, seen } = await following({ quietMs: { live: 40, other: 40, most: 80 } });
  await sleep(500);
  const { reads } = project;
  assert.ok(reads >= 3 && reads <= 7, `${reads}`);

  project.stored = 3;
  await until(() => seen.text() === "2 3 ", "the text");
});

test("a database that is away is asked again", async () => {
  const { project, seen } = await following();
  project.stored = 4;
  project.failures = ["away"];
  seen.handle.refresh();
  await until(() => seen.text() === "2 3 4 ", "the text");

  assert.deepEqual(seen.errors, [["away", true]]);
});

test("who was lost and is back has what was said meanwhile", async () => {
  const { project, seen } = await following();
  project.tell("CHANNEL_ERROR", new Error("gone"));
  assert.equal(seen.handle.state.connection, "lost");
  project.stored = 6;

  project.tell("SUBSCRIBED");
  await isLive(seen);

  assert.equal(seen.text(), "2 3 4 5 6 ");
  assert.deepEqual(seen.errors, [["gone", true]]);
});

test("who is lost again while the database answers is not live", async () => {
  const { project, seen } = await following();
  let answer;
  project.gate = new Promise((done) => (answer = done));
  project.tell("TIMED_OUT");
  project.tell("SUBSCRIBED");
  await until(() => project.reads === 1, "the question");
  project.tell("TIMED_OUT");
  answer();
  await sleep(30);

  assert.equal(seen.handle.state.connection, "lost");
});
