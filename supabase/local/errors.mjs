// Errors in PostgREST's form: its HTTP status, and a body of code, message, details and hint.

const CONNECTION_LOST = new Set([
  "CONNECT_TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_DESTROYED",
  "CONNECTION_ENDED",
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
]);

// The longest prefix wins. Source: PostgREST's documentation, "Errors: HTTP status codes".
const STATUS_BY_PREFIX = {
  "08": 503,
  "09": 500,
  "0L": 403,
  "0P": 403,
  23503: 409,
  23505: 409,
  25006: 405,
  25: 500,
  28: 403,
  "2D": 500,
  38: 500,
  39: 500,
  "3B": 500,
  40: 500,
  53400: 500,
  53: 503,
  54: 500,
  55: 500,
  "57P01": 503,
  "57P02": 503,
  "57P03": 503,
  57: 500,
  58: 500,
  F0: 500,
  HV: 500,
  P0001: 400,
  P0: 500,
  XX: 500,
  42883: 404,
  "42P01": 404,
  "42P17": 500,
};

/** Returns a response with PostgREST's error body. */
export function failure(status, { code, message, details = null, hint = null }, headers = {}) {
  return Response.json({ code, details, hint, message }, { status, headers });
}

/** Returns whether the error says that the database cannot be reached. */
export const isConnectionLost = (error) =>
  CONNECTION_LOST.has(error?.code) || ["57P01", "57P02", "57P03"].includes(error?.code);

export const databaseDown = {
  code: "PGRST000",
  message: "Database connection error. Retrying the connection.",
};

/**
 * Returns an error that lite answers as PostgREST would.
 *
 * Lite takes status, headers and body from an error whose code is `PGRST`. What raised that code
 * or `PTnnn` itself is left alone, and so are two codes whose message lite words as PostgREST does.
 */
export function asPostgrest(error, role) {
  if (isConnectionLost(error)) return prepared(503, databaseDown);
  const { code, message, detail, hint } = error ?? {};
  const isSqlState = typeof code === "string" && /^[0-9A-Z]{5}$/.test(code);
  if (!isSqlState || code === "PGRST" || code.startsWith("PT")) return error;
  if (code === "42703" || code === "42883") return error;
  const body = { code, message, details: detail ?? null, hint: hint ?? null };
  if (code === "42501" && role === "anon") {
    return prepared(401, body, { "WWW-Authenticate": "Bearer" });
  }
  return prepared(code === "42501" ? 403 : statusOf(code), body);
}

function statusOf(sqlState) {
  return STATUS_BY_PREFIX[sqlState] ?? STATUS_BY_PREFIX[sqlState.slice(0, 2)] ?? 400;
}

function prepared(status, body, headers = {}) {
  return {
    code: "PGRST",
    message: JSON.stringify(body),
    detail: JSON.stringify({ status, headers }),
  };
}
