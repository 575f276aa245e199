// What a transaction of a request is told about its caller, in the way that PostgREST tells it.

const EXPOSED = "public";
const EXTRA_SEARCH_PATH = "extensions";

/** One statement that makes the transaction act as the caller; `$1` is `sessionSettings()`. */
export const BECOME_CALLER =
  "select set_config(key, value, true) from jsonb_each_text($1::text::jsonb)";

/**
 * Returns the settings of a transaction as JSON text.
 *
 * `role` is the shortest key, which makes jsonb yield it first: what follows is set as the caller.
 *
 * @param {object} request The context of the request.
 * @param {Map<string, object>} roleSettings Timeouts of each role, as `alter role … set` gave them.
 * @param {object} extra Further settings of this transaction.
 */
export function sessionSettings(request, roleSettings, extra = {}) {
  if (!request.role) throw new Error("a transaction without a caller");
  const readOnly = request.method === "GET" || request.method === "HEAD";
  return JSON.stringify({
    role: request.role,
    search_path: `"${EXPOSED}", "${EXTRA_SEARCH_PATH}"`,
    "request.jwt.claims": JSON.stringify(request.claims),
    "request.method": request.method,
    "request.path": request.path,
    "request.headers": JSON.stringify(request.headers),
    "response.status": "",
    "response.headers": "",
    ...(readOnly && { transaction_read_only: "on" }),
    ...roleSettings.get(request.role),
    ...extra,
  });
}
