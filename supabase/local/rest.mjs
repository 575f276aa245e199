// /rest/v1: requests in PostgREST's language, answered by lite's query builder.

import { App } from "@supabase/lite";
import { databaseDown, failure, isConnectionLost } from "./errors.mjs";
import { withRequest } from "./request_context.mjs";

const MAX_ROWS = 1000;
// Lite gets no credentials: the caller's role and claims travel in the request's context.
const CREDENTIALS = ["authorization", "apikey"];

/** Returns the handler of /rest/v1 for a caller who is already identified. */
export function restHandler(connection) {
  const app = new App({
    connection,
    api: { enabled: true, schemas: ["public"], max_rows: MAX_ROWS },
    auth: { enabled: false },
    storage: { enabled: false },
    studio: { enabled: false },
    options: { server: { admin: false, apiKeys: false } },
  });
  return async (request, caller) => {
    if (!connection.catalogue.schema) {
      return failure(503, {
        code: "PGRST002",
        message: "Could not query the database for the schema cache. Retrying.",
      });
    }
    const context = { ...caller, ...describe(request) };
    try {
      return await withRequest(context, () => app.fetch(withoutCredentials(request)));
    } catch (error) {
      if (isConnectionLost(error)) return failure(503, databaseDown);
      throw error;
    }
  };
}

function describe(request) {
  const url = new URL(request.url);
  return {
    method: request.method,
    path: url.pathname.replace("/rest/v1", ""),
    headers: Object.fromEntries(request.headers),
  };
}

function withoutCredentials(request) {
  const headers = new Headers(request.headers);
  for (const name of CREDENTIALS) headers.delete(name);
  const url = new URL(request.url);
  url.searchParams.delete("apikey");
  const init = { method: request.method, headers, duplex: "half" };
  if (request.body) init.body = request.body;
  return new Request(url, init);
}
