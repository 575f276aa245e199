// The local Data API: /rest/v1 and /storage/v1 on the loopback address, for one project.
// Usage: node server.mjs CONFIG.json (the file holds keys and passwords; see backend/devkit/data_api.py).

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";

// Lite prints every database error with its stack and the rows in it.
for (const name of ["debug", "error", "info", "log", "warn"]) console[name] = () => {};

// The name only: a message may quote a row.
const note = (what, error) => process.stderr.write(`${what}: ${error?.code ?? error?.name}\n`);
process.on("unhandledRejection", (error) => note("lost error", error));
process.on("uncaughtException", (error) => {
  note("stopped", error);
  process.exit(1);
});

const { CallerConnection } = await import("./connection.mjs");
const { allowBrowsers, isPreflight } = await import("./cors.mjs");
const { failure } = await import("./errors.mjs");
const { Gate } = await import("./identity.mjs");
const { restHandler } = await import("./rest.mjs");
const { storageHandler } = await import("./storage/routes.mjs");

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const connection = new CallerConnection({
  databaseUrl: config.database_url,
  catalogueUrl: config.catalogue_url,
});
const gate = new Gate(config);
const rest = restHandler(connection);
const storage = storageHandler(connection, config);

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (pathname === "/rest-admin/v1/ready") {
    return new Response(null, { status: connection.catalogue.schema ? 200 : 503 });
  }
  const isRest = pathname.startsWith("/rest/v1");
  if (!isRest && !pathname.startsWith("/storage/v1")) {
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  }
  if (isPreflight(request)) return new Response(null, { status: 204 });
  const { caller, refusal } = await gate.identify(request, { keyIsOptional: !isRest });
  if (refusal) return refusal;
  return isRest ? rest(request, caller) : storage(request, caller);
}

async function respond(request) {
  try {
    return allowBrowsers(await answer(request), request);
  } catch (error) {
    note("request failed", error);
    const body = { code: "PGRSTX00", message: "Internal error" };
    return allowBrowsers(failure(500, body), request);
  }
}

// Its own Response class would make `instanceof` untrue for ours.
const server = createServer(getRequestListener(respond, { overrideGlobalObjects: false }));

// Longer than clients keep an idle connection, so that none of them writes into a closed one.
server.keepAliveTimeout = 65_000;

async function stop() {
  server.close();
  server.closeAllConnections();
  await connection.close();
  process.exit(0);
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);

await connection.catalogue.follow();
server.listen(config.port, "127.0.0.1");
