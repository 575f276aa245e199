// Server-sent events by fetch: EventSource can send no header, and a token in a URL ends up in logs.
import { backoffMs, pause } from "./backoff.js";

/**
 * Hear the events at the URL until the signal aborts, from the last one on after each interruption.
 * @param options.getToken `({ skipCache }) => Promise<string>`, like Clerk's.
 * @param options.silenceMs The service says every 15 seconds that it lives.
 * @throws when it makes no sense to go on: there is no such session, or the service refuses for good.
 */
export async function readEvents(url, options, signal) {
  const { getToken, lastEventId, onEvent, onOpened, onLost, silenceMs = 45_000 } = options;
  let id = lastEventId;
  let retryMs = 1_000;
  let tries = 0;
  let skipCache = false;
  while (!signal.aborted) {
    const stalled = new AbortController();
    let atOnce = false;
    let notBeforeMs = 0;
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(new Error("The stream fell silent.")), silenceMs);
    };
    alive();
    try {
      const token = await getToken({ skipCache });
      const headers = { accept: "text/event-stream", authorization: `Bearer ${token}` };
      if (id) headers["last-event-id"] = id;
      const any = AbortSignal.any([signal, stalled.signal]);
      const response = await fetch(url, { headers, signal: any, cache: "no-store" });
      if (!response.ok) {
        await response.body?.cancel();
        // A new token once; then the token is not what is wrong.
        atOnce = response.status === 401 && !skipCache;
        skipCache = response.status === 401;
        notBeforeMs = 1_000 * (Number(response.headers.get("retry-after")) || 0);
        throw new StreamRefused(response.status);
      }
      skipCache = false;
      for await (const frame of frames(response.body, alive)) {
        if (frame.retry !== null) retryMs = frame.retry;
        if (frame.id !== null) id = frame.id;
        if (frame.data === null) continue;
        if (signal.aborted) return;
        const event = JSON.parse(frame.data);
        tries = 0;
        if (event.type === "stream.opened") onOpened(event);
        else if (event.type !== "stream.closed") onEvent(event);
        else if (event.reason === "gone") throw new StreamRefused(404);
        else atOnce = event.reason === "reauth";
      }
      if (!atOnce) throw new Error("The stream ended.");
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof StreamRefused && error.isFinal) throw error;
      if (!atOnce) onLost(stalled.signal.aborted ? stalled.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
    if (!atOnce) await pause(Math.max(notBeforeMs, backoffMs(tries++, retryMs)), signal);
  }
}

/** The service answered with an error. */
export class StreamRefused extends Error {
  constructor(status) {
    super(status === 404 ? "There is no such session, or it is not yours." : `HTTP ${status}`);
    this.name = "StreamRefused";
    this.status = status;
  }

  /** Whether asking again changes nothing. */
  get isFinal() {
    return this.status >= 400 && this.status < 500 && ![401, 408, 425, 429].includes(this.status);
  }
}

async function* frames(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let frame = { id: null, retry: null, data: null };
  try {
    for (;;) {
      const { value: text, done } = await reader.read();
      if (done) return;
      alive();
      const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          yield frame;
          frame = { id: null, retry: null, data: null };
          continue;
        }
        const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
        if (name === "data") frame.data = frame.data === null ? value : `${frame.data}\n${value}`;
        else if (name === "id") frame.id = value;
        else if (name === "retry" && /^\d+$/.test(value)) frame.retry = Number(value);
      }
    }
  } finally {
    // Whoever stops listening hangs up.
    reader.cancel().catch(() => {});
  }
}
