import type { SupabaseClient } from "@supabase/supabase-js";

/** A row of `messages`, or what is being said: then `status` is "streaming" and the rest is not there yet. */
export interface Message {
  readonly id: string;
  readonly run_id: string | null;
  readonly role: "user" | "assistant";
  readonly status: "streaming" | "completed" | "incomplete";
  readonly content: readonly { readonly type: string; readonly [name: string]: unknown }[];
  readonly position?: number;
  readonly ordinal?: number | null;
  readonly reason?: string | null;
  readonly error?: string | null;
  readonly [column: string]: unknown;
}

export type RunStatus =
  | "waiting"
  | "typing"
  | "streaming"
  | "requires_action"
  | "cancelling"
  | "completed"
  | "incomplete"
  | "failed"
  | "cancelled"
  | "expired";

export interface Run {
  readonly id: string;
  readonly status: RunStatus;
  /** The message that it answers. */
  readonly messageId: string | null;
  /** Why it ended as it did, where the end was heard; the outcome's row says it in any case. */
  readonly reason: string | null;
  /** A code, after a failure. */
  readonly error: string | null;
  /** What to run and to submit, while it requires action. */
  readonly toolCalls: readonly {
    readonly call_id: string;
    readonly name: string;
    readonly arguments: unknown;
  }[];
}

/** Never changes; a new one comes with each change. */
export interface SessionView {
  readonly connection: "connecting" | "live" | "lost" | "closed";
  /** The newest rows by position, then what is being said. */
  readonly messages: readonly Message[];
  /** The newest runs, in their order. */
  readonly runs: readonly Run[];
}

export interface FollowOptions {
  onChange(view: SessionView): void;
  /** What went wrong; unless it `willRetry`, nothing is followed any more. */
  onError?(error: Error, next: { willRetry: boolean }): void;
  /** "realtime" by default. */
  transport?: "realtime" | "sse";
  /** Of the service, for "sse". */
  apiUrl?: string;
  /** For "sse"; Clerk's `session.getToken` fits. */
  getToken?(options: { skipCache: boolean }): Promise<string | null>;
  /** How many rows of messages; 50 by default. */
  pageSize?: number;
  /** For "sse": a stream without a byte for so long is opened anew; 45,000 by default. */
  silenceMs?: number;
  /** For "realtime": when to ask the database although nothing was heard. */
  quietMs?: { live?: number; other?: number; most?: number };
}

export interface Following {
  readonly state: SessionView;
  /** Read the rows now: call it after you have sent a message or tool outputs. */
  refresh(): void;
  /** Resolves when nothing of it is left. */
  close(): Promise<void>;
}

export function followSession(
  supabase: SupabaseClient,
  sessionId: string,
  options: FollowOptions,
): Following;
