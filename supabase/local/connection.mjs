// The database as lite sees it: every query runs as the caller, and lite changes nothing by itself.

import { PostgresConnection } from "@supabase/lite/postgres";
import { sql } from "kysely";
import { Catalogue } from "./catalogue.mjs";
import { asPostgrest } from "./errors.mjs";
import { currentRequest } from "./request_context.mjs";
import { BECOME_CALLER, sessionSettings } from "./session.mjs";
import { encodedJson, installArrays, types } from "./values.mjs";

const POOL_SIZE = 10;
const RECONNECT_S = 0.2;
const JSON_TYPE = /^jsonb?$/;
const VECTOR = /(^|\.)(vector|halfvec)$/;

export class CallerConnection extends PostgresConnection {
  // Lite's own first step would grant everything to anon, or switch row security off for good.
  rlsState = "active";

  catalogue;

  constructor({ databaseUrl, catalogueUrl }) {
    super({
      url: databaseUrl,
      postgresOptions: {
        types,
        max: POOL_SIZE,
        connect_timeout: 5,
        backoff: () => RECONNECT_S,
        onnotice: () => {},
      },
    });
    this.catalogue = new Catalogue(catalogueUrl, ({ arrays }) =>
      installArrays(this.driver.options, arrays),
    );
  }

  async ensureRlsContext() {
    return true;
  }

  async introspect() {
    return this.catalogue.schema;
  }

  async onPostgrestAST(ast, vars) {
    const { schema } = this.catalogue;
    return super.onPostgrestAST(withVectorsAsText(withJsonAsOnce(ast, schema), schema), vars);
  }

  /** Runs `work` in a transaction of the caller, which the request's context names. */
  async withContext(_, work) {
    const request = currentRequest();
    const settings = sessionSettings(request, this.catalogue.roleSettings);
    try {
      return await this.kysely.transaction().execute(async (transaction) => {
        await becomeCaller(transaction, settings);
        return work(transaction);
      });
    } catch (error) {
      throw asPostgrest(error, request.role);
    }
  }

  async close() {
    await Promise.allSettled([this.catalogue.close(), this.driver.end({ timeout: 1 })]);
  }
}

function becomeCaller(transaction, settings) {
  const [before, after] = BECOME_CALLER.split("$1");
  return sql`${sql.raw(before)}${settings}${sql.raw(after)}`.execute(transaction);
}

// Lite makes text of a json argument, which the driver would take for a string of JSON, and reads
// the text of a json column as JSON. PostgREST stores what the body says; its null is SQL's.
function withJsonAsOnce(ast, schema) {
  const once = (value) => encodedJson(ast.httpMethod === "GET" ? value : JSON.stringify(value));
  return withValuesOf(JSON_TYPE, ast, schema, (value) => (value === null ? null : once(value)));
}

// PostgREST accepts `[0.1, 0.2]` for a vector; lite would send a PostgreSQL array.
function withVectorsAsText(ast, schema) {
  return withValuesOf(VECTOR, ast, schema, (value) =>
    Array.isArray(value) ? JSON.stringify(value) : value,
  );
}

/** Returns the request with what it gives to columns or arguments of the type changed. */
function withValuesOf(type, ast, schema, change) {
  if (ast.from && ast.values) {
    const names = namesOfColumns(ast.from, schema, type);
    const changed = (row) => withEntries(row, names, change);
    const values = Array.isArray(ast.values) ? ast.values.map(changed) : changed(ast.values);
    return { ...ast, values };
  }
  if (ast.function && ast.args && !Array.isArray(ast.args)) {
    const names = namesOfArguments(ast.function, schema, type);
    return { ...ast, args: withEntries(ast.args, names, change) };
  }
  return ast;
}

function withEntries(row, names, change) {
  // Lite refuses a row that is none.
  if (typeof row !== "object" || row === null || Array.isArray(row)) return row;
  const entries = Object.entries(row).map(([name, value]) => [
    name,
    names.has(name) ? change(value) : value,
  ]);
  return Object.fromEntries(entries);
}

function namesOfColumns(relation, schema, type) {
  const columns = schema.columns.filter(
    ({ table, pg_type }) => table === relation && type.test(pg_type ?? ""),
  );
  return new Set(columns.map(({ name }) => name));
}

function namesOfArguments(name, schema, type) {
  const functions = schema.functions.filter((it) => it.name === name);
  return new Set(
    functions.flatMap(({ arg_names, arg_types }) =>
      arg_names.filter((_, index) => type.test(arg_types[index] ?? "")),
    ),
  );
}
