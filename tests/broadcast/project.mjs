// What the tests of web/stream share: waiting, and remembering what was seen.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { followSession } from "../../web/stream/session-stream.js";

export const until = async (condition, what, seconds = 20) => {
  const deadline = Date.now() + seconds * 1_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await sleep(5);
  }
};

export const textOf = (message) =>
  message.content.filter((it) => it.type === "text").map((it) => it.text).join("");

const following = [];

/** Follows the session, and remembers each view, error, text and state. */
export function follow(supabase, sessionId, options = {}) {
  const seen = { views: [], errors: [], texts: new Map(), statuses: new Map() };
  const onChange = (view) => {
    seen.views.push(view);
    for (const message of view.messages) {
      if (message.status === "streaming") seen.texts.set(message.id, textOf(message));
    }
    for (const run of view.runs) {
      const told = seen.statuses.get(run.id) ?? [];
      if (told.at(-1) !== run.status) told.push(run.status);
      seen.statuses.set(run.id, told);
    }
  };
  const onError = (error, { willRetry }) => seen.errors.push([error.message, willRetry]);
  seen.handle = followSession(supabase, sessionId, { onChange, onError, ...options });
  following.push(seen.handle);
  return seen;
}

/** Nothing is followed any more. */
export const closeAll = () => Promise.all(following.splice(0).map((it) => it.close()));

export const isLive = (seen, seconds) =>
  until(() => seen.handle.state.connection === "live", "live", seconds);

/** Counts the timers that web/stream has set and that are neither over nor cleared. */
export function watchTimers() {
  const left = new Set();
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  globalThis.setTimeout = (work, ...given) => {
    const timer = set(() => {
      left.delete(timer);
      work();
    }, ...given);
    if (new Error().stack.includes("/web/stream/")) left.add(timer);
    return timer;
  };
  globalThis.clearTimeout = (timer) => {
    left.delete(timer);
    clear(timer);
  };
  const restore = () => Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  return { left, restore };
}
