// What is known of a session: its rows, and on top of them what has been said since they were read.

const ENDED = new Set(["completed", "incomplete", "failed", "cancelled", "expired"]);
const ROW_STATUS = { ready: "waiting", running: "typing" };

/** Applies each event once, in the order of its run. */
export class SessionState {
  /** Where a stream of this session goes on: the id of the last event. @type {string | null} */
  lastEventId = null;
  #messages = [];
  #rows = new Map();
  #heard = new Map();
  #current = null;

  /**
   * Whether the event has been applied ("old"), is the one to apply now ("next"), or comes behind
   * others that are missing here ("gap").
   */
  place(event) {
    const run = this.#heard.get(event.run_id);
    if (run && (run.isOver || event.seq <= run.seq)) return "old";
    if (run) return run === this.#current && event.seq === run.seq + 1 ? "next" : "gap";
    if (ENDED.has(this.#rows.get(event.run_id)?.status)) return "old";
    return event.seq === 1 && (!this.#current || this.#current.isOver) ? "next" : "gap";
  }

  /** Apply an event of a stream that is whole and in order; one that was applied is skipped. */
  apply(event) {
    this.lastEventId = `${event.run_id}:${event.seq ?? "end"}`;
    const known = this.#heard.get(event.run_id);
    if (known && (known.isOver || (event.seq ?? Infinity) <= known.seq)) return;
    const run = known ?? { id: event.run_id, seq: 0, texts: new Map(), toolCalls: [], isOver: false };
    this.#heard.set(run.id, run);
    this.#current = run;
    run.seq = event.seq ?? Infinity;
    change(run, event);
  }

  /** How far each run was heard; for `replaceRows`. */
  mark() {
    return new Map([...this.#heard].map(([id, run]) => [id, run.seq]));
  }

  /**
   * Know these rows from now on. What was heard since they were asked for stays on top of them.
   * @param mark What `mark` returned before they were asked for.
   */
  replaceRows(messages, runs, mark) {
    this.#messages = messages;
    this.#rows = new Map(runs.map((row) => [row.id, row]));
    for (const [id, run] of this.#heard) {
      const row = this.#rows.get(id);
      if (mark.get(id) !== run.seq) continue;
      if (ENDED.has(row?.status) || (!row && run.isOver)) {
        // The rows hold whatever it said.
        run.texts.clear();
        if (!row && run !== this.#current) this.#heard.delete(id);
      } else if (row && !run.isOver && !(run.status === "streaming" && row.status === "running")) {
        run.status = null;
      }
    }
  }

  /** Whether somebody is at work: events are to be expected. */
  isBusy() {
    return this.#runs().some(({ status }) => !ENDED.has(status) && status !== "requires_action");
  }

  /** A snapshot that never changes. */
  view(connection) {
    const stored = new Set(this.#messages.map((message) => message.id));
    const spoken = [];
    for (const run of this.#heard.values()) {
      for (const [id, text] of run.texts) {
        if (!stored.has(id)) spoken.push(spokenMessage(id, run.id, text));
      }
    }
    return { connection, messages: [...this.#messages, ...spoken], runs: this.#runs() };
  }

  #runs() {
    const rows = [...this.#rows.values()];
    for (const { id } of this.#heard.values()) if (!this.#rows.has(id)) rows.push({ id });
    return rows.map((row) => describe(row, this.#heard.get(row.id)));
  }
}

/** What the event changes of its run; types that a later service may add change nothing. */
function change(run, event) {
  const type = event.type;
  if (type === "message.delta") {
    run.texts.set(event.message_id, (run.texts.get(event.message_id) ?? "") + event.text);
    run.status = "streaming";
  } else if (type === "message.discarded") {
    run.texts.delete(event.message_id);
    run.status = "typing";
  } else if (type === "run.started") {
    run.status = "typing";
  } else if (type === "run.requires_action") {
    run.status = "requires_action";
    run.toolCalls = event.tool_calls;
  } else if (type === "run.snapshot") {
    // Its events are no more; the rows have all that it said.
    run.texts.clear();
    run.status = event.status;
    run.isOver = true;
  } else if (type.startsWith("run.") && ENDED.has(type.slice(4))) {
    run.status = type.slice(4);
    run.reason = event.reason;
    run.error = event.error;
    run.isOver = true;
  }
}

function describe(row, heard) {
  const status = ENDED.has(row.status) ? row.status : (heard?.status ?? ROW_STATUS[row.status] ?? row.status);
  const calls = row.required_action?.tool_calls ?? heard?.toolCalls ?? [];
  return {
    id: row.id,
    status: status ?? "typing",
    messageId: row.message_id ?? null,
    reason: heard?.reason ?? null,
    error: row.error ?? heard?.error ?? null,
    toolCalls: status === "requires_action" ? calls : [],
  };
}

function spokenMessage(id, runId, text) {
  const content = [{ type: "text", text }];
  return { id, run_id: runId, role: "assistant", status: "streaming", content };
}
