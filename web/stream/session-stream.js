// Follows a session: one state, whatever brings the events. See README.md.
import { backoffMs, pause } from "./backoff.js";
import { readEvents, StreamRefused } from "./event-source.js";
import { joinTopic } from "./realtime.js";
import { SessionState } from "./session-state.js";

const RUNS = 100;
const RUN_COLUMNS = "id, message_id, status, error, required_action";
/** Without a word for so long while a run is open, the database is asked; then less and less often. */
const QUIET_MS = { live: 10_000, other: 2_000, most: 60_000 };

/** @type {import("./session-stream.d.ts").followSession} */
export function followSession(supabase, sessionId, options) {
  const { onChange, onError = () => {}, transport = "realtime", pageSize = 50 } = options;
  if (transport === "sse" && !(options.apiUrl && options.getToken)) {
    throw new TypeError("Server-sent events need apiUrl and getToken.");
  }
  const quietMs = { ...QUIET_MS, ...options.quietMs };
  const state = new SessionState();
  const ending = new AbortController();
  const { signal } = ending;
  let connection = "connecting";
  let view = state.view(connection);
  let pending = [];
  let isJoined = false;
  let isReading = false;
  let isAsked = false;
  let isCatchingUp = false;
  let silences = 0;
  let watch;

  const publish = () => {
    view = state.view(connection);
    onChange(view);
  };
  const become = (next) => {
    if (connection !== next) {
      connection = next;
      publish();
    }
  };
  const lose = (error) => {
    isJoined = false;
    become("lost");
    onError(error, { willRetry: true });
    listen();
  };
  const fail = (error) => {
    if (signal.aborted) return;
    close();
    onChange(view);
    onError(error, { willRetry: false });
  };
  const rows = async (query) => {
    const { data, error } = await query.abortSignal(signal);
    if (error) throw Object.assign(new Error(error.message), { code: error.code });
    return data;
  };

  async function readStream() {
    // What has been sent before this question is behind its answer, or will never be.
    pending = [];
    isCatchingUp = true;
    try {
      for (let more = true; more && !signal.aborted; ) {
        const names = { p_session_id: sessionId, p_last_event_id: state.lastEventId };
        const page = await rows(supabase.rpc("read_stream", names));
        if (page === null) throw new StreamRefused(404);
        state.lastEventId ??= page.last_event_id;
        page.events.forEach((event) => state.apply(event));
        more = page.more;
      }
    } finally {
      isCatchingUp = false;
    }
    pending.splice(0).forEach(take);
  }

  async function readRows() {
    const mark = state.mark();
    const newest = (table, columns, order, count) => {
      const query = supabase.from(table).select(columns).eq("session_id", sessionId);
      return rows(query.order(order, { ascending: false }).limit(count));
    };
    // In this order: the answer of a run that has ended is among the messages.
    const runs = await newest("runs", RUN_COLUMNS, "queued_no", RUNS);
    const messages = await newest("messages", "*", "position", pageSize);
    state.replaceRows(messages.reverse(), runs.reverse(), mark);
  }

  /** Know what the database knows: one reading at a time, and another if it was asked for meanwhile. */
  async function reconcile() {
    isAsked = true;
    if (isReading) return;
    isReading = true;
    for (let tries = 0; isAsked && !signal.aborted; ) {
      isAsked = false;
      try {
        if (transport === "realtime") await readStream();
        // After the stream: the answer of a run whose end was heard is there.
        await readRows();
        tries = 0;
        if (!signal.aborted) publish();
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof StreamRefused) {
          fail(error);
          break;
        }
        onError(error, { willRetry: true });
        isAsked = true;
        await pause(backoffMs(tries++), signal);
      }
    }
    isReading = false;
    listen();
  }

  /** Apply what was broadcast; what does not follow on waits for the missing. */
  function take(event) {
    const place = state.place(event);
    if (place === "next") apply(event);
    else if (place === "gap") {
      pending.push(event);
      if (!isCatchingUp) reconcile();
    }
  }

  function apply(event) {
    state.apply(event);
    // Rows come with a run's beginning and end: the question, and the answer as it is stored.
    if (event.type.startsWith("run.")) reconcile();
  }

  function hear(message) {
    silences = 0;
    if (!message?.events?.length) reconcile();
    else message.events.forEach(take);
    publish();
    listen();
  }

  /** Who hears nothing while somebody is at work asks: the last word may be the one that was lost. */
  function listen() {
    clearTimeout(watch);
    if (signal.aborted || transport !== "realtime" || !state.isBusy()) return;
    const first = connection === "live" ? quietMs.live : quietMs.other;
    const wait = Math.min(quietMs.most, first * 2 ** Math.min(silences, 10));
    watch = setTimeout(() => {
      silences += 1;
      reconcile();
    }, wait);
  }

  function follow() {
    if (transport === "realtime") {
      const onJoined = () => {
        isJoined = true;
        reconcile().then(() => isJoined && !signal.aborted && become("live"));
      };
      const topic = `session:${sessionId}`;
      return joinTopic(supabase, topic, { onMessage: hear, onJoined, onLost: lose }, signal);
    }
    const url = `${options.apiUrl.replace(/\/$/, "")}/sessions/${sessionId}/events`;
    const onOpened = ({ resumed }) => {
      if (!resumed) reconcile();
      become("live");
    };
    const onEvent = (event) => {
      apply(event);
      publish();
    };
    return readEvents(url, { ...options, onOpened, onEvent, onLost: lose }, signal);
  }

  function close() {
    if (!signal.aborted) {
      clearTimeout(watch);
      ending.abort();
      view = state.view("closed");
    }
    return following;
  }

  const following = Promise.resolve().then(follow).catch(fail);
  return {
    get state() {
      return view;
    },
    refresh: () => void reconcile(),
    close,
  };
}
