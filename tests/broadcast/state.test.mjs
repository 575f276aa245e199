// What web/stream makes of rows and events, whatever brings them. Run by test_session_stream.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SessionState } from "../../web/stream/session-state.js";

const started = (run) => ({ run_id: run, seq: 1, type: "run.started" });
const delta = (run, seq, text, message = `m${run}`) => ({ run_id: run, seq, type: "message.delta", message_id: message, text });
const ended = (run, seq, status = "completed") => ({ run_id: run, seq, type: `run.${status}`, message_id: `m${run}`, status, reason: null, error: null });
const row = (id, text) => ({ id, role: "assistant", status: "completed", content: [{ type: "text", text }] });
const runRow = (id, status, more = {}) => ({ id, message_id: `q${id}`, status, error: null, required_action: null, ...more });

const heard = (...events) => {
  const state = new SessionState();
  for (const event of events) state.apply(event);
  return state;
};
const rows = (state, messages, runs, mark = state.mark()) => state.replaceRows(messages, runs, mark);
const shown = (state) => state.view("live").messages.map((it) => [it.id, it.status, it.content[0].text]);
const statuses = (state) => state.view("live").runs.map((it) => [it.id, it.status]);

test("an event is next, old, or comes too early", () => {
  const state = heard(started("1"), delta("1", 2, "a"));

  assert.equal(state.place(delta("1", 3, "b")), "next");
  assert.equal(state.place(delta("1", 2, "a")), "old");
  assert.equal(state.place(started("1")), "old");
  assert.equal(state.place(delta("1", 4, "c")), "gap");
  // The end of the first run is missing.
  assert.equal(state.place(started("2")), "gap");
});

test("the next run may begin when this one is over", () => {
  const state = heard(started("1"), ended("1", 2));

  assert.equal(state.place(started("2")), "next");
  assert.equal(state.place(delta("2", 2, "a")), "gap");
  assert.equal(state.place(ended("1", 2)), "old");
  assert.equal(state.place(delta("1", 3, "a")), "old");
});

test("what comes late of a run that the rows know to be over is old", () => {
  const state = new SessionState();
  rows(state, [], [runRow("0", "completed")]);

  assert.equal(state.place(started("0")), "old");
  assert.equal(state.place(started("1")), "next");
});

test("an event is applied once", () => {
  const state = heard(started("1"), delta("1", 2, "a"), delta("1", 2, "a"), started("1"), delta("1", 3, "b"));

  assert.deepEqual(shown(state), [["m1", "streaming", "ab"]]);
  assert.equal(state.lastEventId, "1:3");
});

test("what is taken back is not shown", () => {
  const state = heard(started("1"), delta("1", 2, "half", "m0"), { run_id: "1", seq: 3, type: "message.discarded", message_id: "m0" });

  assert.deepEqual(shown(state), []);
  assert.deepEqual(statuses(state), [["1", "typing"]]);
  state.apply(delta("1", 4, "whole"));
  assert.deepEqual(shown(state), [["m1", "streaming", "whole"]]);
});

test("a message is shown once, as its row has it", () => {
  const state = heard(started("1"), delta("1", 2, "a", "said"), delta("1", 3, "b"));
  rows(state, [row("said", "a")], [runRow("1", "running")]);

  assert.deepEqual(shown(state), [["said", "completed", "a"], ["m1", "streaming", "b"]]);
});

test("an answer that was deleted after its end does not come back", () => {
  const state = heard(started("1"), delta("1", 2, "a"), ended("1", 3));
  rows(state, [row("m1", "a")], [runRow("1", "completed")]);
  rows(state, [], [runRow("1", "completed")]);

  assert.deepEqual(shown(state), []);
});

test("what was heard while the rows were read stays", () => {
  const state = heard(started("1"), delta("1", 2, "a"));
  const mark = state.mark();
  state.apply(delta("1", 3, "b"));
  state.apply(ended("1", 4));
  rows(state, [], [runRow("1", "running")], mark);

  assert.deepEqual(shown(state), [["m1", "streaming", "ab"]]);
  assert.deepEqual(statuses(state), [["1", "completed"]]);
});

test("an end that was heard is not undone by rows of a slow replica", () => {
  const state = heard(started("1"), delta("1", 2, "a"), ended("1", 3));
  rows(state, [], [runRow("1", "running")]);

  assert.deepEqual(shown(state), [["m1", "streaming", "a"]]);
  assert.deepEqual(statuses(state), [["1", "completed"]]);
});

test("a snapshot ends a run and forgets its words", () => {
  const state = heard(started("1"), delta("1", 2, "a"), { run_id: "1", seq: null, type: "run.snapshot", status: "failed", messages: [] });

  assert.deepEqual([shown(state), statuses(state)], [[], [["1", "failed"]]]);
  assert.equal(state.lastEventId, "1:end");
  assert.equal(state.place(delta("1", 3, "b")), "old");
});

test("a run waits, is typed, is said and ends", () => {
  const state = new SessionState();
  const seen = [];
  const look = () => seen.push(statuses(state)[0][1]);
  rows(state, [], [runRow("1", "ready")]);
  look();
  state.apply(started("1"));
  look();
  rows(state, [], [runRow("1", "running")]);
  look();
  state.apply(delta("1", 2, "a"));
  look();
  rows(state, [], [runRow("1", "running")]);
  look();
  rows(state, [], [runRow("1", "cancelling")]);
  look();
  state.apply(ended("1", 3, "cancelled"));
  look();

  assert.deepEqual(seen, ["waiting", "typing", "typing", "streaming", "streaming", "cancelling", "cancelled"]);
});

test("calls are named while the run waits for them", () => {
  const calls = [{ call_id: "c", name: "roll_dice", arguments: {} }];
  const state = heard(started("1"), { run_id: "1", seq: 2, type: "run.requires_action", tool_calls: calls });
  const told = () => state.view("live").runs.map((it) => [it.status, it.toolCalls]);
  assert.deepEqual(told(), [["requires_action", calls]]);
  assert.equal(state.isBusy(), false);

  rows(state, [], [runRow("1", "ready")]);

  assert.deepEqual(told(), [["waiting", []]]);
  assert.equal(state.isBusy(), true);
  rows(state, [], [runRow("1", "requires_action", { required_action: { tool_calls: calls } })]);
  assert.deepEqual(told(), [["requires_action", calls]]);
});

test("a long tab does not remember runs that the rows have left behind", () => {
  const state = new SessionState();
  for (let no = 1; no <= 500; no += 1) {
    for (const event of [started(`${no}`), delta(`${no}`, 2, "a"), ended(`${no}`, 3)]) state.apply(event);
    rows(state, [], [runRow(`${no}`, "completed")]);
  }

  assert.ok(state.mark().size <= 2);
  assert.equal(state.view("live").runs.length, 1);
});

/** The same numbers each time. */
const dice = (seed) => () => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return seed / 2 ** 31;
};

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`whatever is lost, doubled or late, the text is the one that was said (${seed})`, () => {
    const random = dice(seed);
    const stored = [];
    for (const run of ["1", "2", "3"]) {
      stored.push(started(run));
      for (let seq = 2; seq < 40; seq += 1) stored.push(delta(run, seq, `${run}.${seq} `));
      stored.push(ended(run, 40));
    }
    const idOf = (event) => `${event.run_id}:${event.seq}`;
    const state = new SessionState();
    let known = 0;
    let reads = 0;
    const late = [];
    const hear = (event) => {
      const place = state.place(event);
      if (place === "next") state.apply(event);
      if (place !== "gap") return;
      reads += 1;
      const from = stored.findIndex((it) => idOf(it) === state.lastEventId) + 1;
      stored.slice(from, known).forEach((it) => state.apply(it));
    };
    for (const event of stored) {
      known += 1;
      const fate = random();
      if (fate < 0.2) continue;
      if (fate < 0.4) late.push(event);
      else hear(event);
      if (fate > 0.8) hear(event);
      if (random() < 0.3) late.splice(Math.floor(random() * late.length), 1).forEach(hear);
    }
    late.forEach(hear);
    hear({ ...ended("4", 9) });

    assert.deepEqual(shown(state).map(([id, , text]) => [id, text]), ["1", "2", "3"].map((run) => [`m${run}`, stored.filter((it) => it.run_id === run && it.text).map((it) => it.text).join("")]));
    assert.ok(reads < stored.length / 2);
  });
}
