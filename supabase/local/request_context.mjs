// Who asks, and how: carried beside the request, never through the library that builds the SQL.

import { AsyncLocalStorage } from "node:async_hooks";

const storage = new AsyncLocalStorage();

/**
 * Runs `work` with this context.
 *
 * @param {{role: string, claims: object, method: string, path: string, headers: object}} context
 * @param {() => Promise<Response>} work
 */
export const withRequest = (context, work) => storage.run(context, work);

/** Returns the context of the request being answered; throws when there is none. */
export function currentRequest() {
  const context = storage.getStore();
  if (!context) throw new Error("a query ran outside a request");
  return context;
}
