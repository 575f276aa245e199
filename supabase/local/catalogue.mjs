// The schema as the Data API knows it: read by the database's owner, again after each change of it.

import { setTimeout as sleep } from "node:timers/promises";
import { PostgresConnection } from "@supabase/lite/postgres";

const EXPOSED_SCHEMAS = ["public"];
const CHANNEL = "pgrst";
const SETTLE_MS = 20;
const RETRY_MS = 200;

const ROLE_SETTINGS = `
  select role.rolname as role, split_part(setting, '=', 1) as name,
         substr(setting, position('=' in setting) + 1) as value
  from pg_roles as role
  join pg_db_role_setting on setrole = role.oid and setdatabase = 0
  cross join unnest(setconfig) as setting
  where split_part(setting, '=', 1) in
    ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`;

const ARRAY_TYPES = `
  select oid::int8, typarray::int8 as array_oid from pg_type where typarray <> 0`;

export class Catalogue {
  /** Lite's description of the exposed schemas; null until it was read once. */
  schema = null;
  /** Timeouts of each role, applied to a request that acts as it. */
  roleSettings = new Map();
  arrays = [];

  #connection;
  #reader = null;
  #wanted = false;
  #closed = false;
  #onChange;

  constructor(databaseUrl, onChange) {
    // Its own login: a role that inherits nothing sees no table in the information schema.
    this.#connection = new PostgresConnection({
      url: databaseUrl,
      postgresOptions: { max: 2, onnotice: () => {}, backoff: () => RETRY_MS / 1000 },
    });
    this.#onChange = onChange;
  }

  /** Resolves when the first schema was read; from then on changes are followed. */
  async follow() {
    const read = () => this.#readSoon();
    // The third argument runs after each (re)connection: what was missed in between is read then.
    await this.#connection.driver.listen(CHANNEL, read, read);
    await this.#reader;
  }

  close() {
    this.#closed = true;
    return this.#connection.driver.end({ timeout: 1 });
  }

  #readSoon() {
    this.#wanted = true;
    this.#reader ??= this.#readUntilCurrent().finally(() => (this.#reader = null));
    return this.#reader;
  }

  async #readUntilCurrent() {
    while (this.#wanted && !this.#closed) {
      // A migration sends one notice for each of its statements.
      await sleep(SETTLE_MS);
      this.#wanted = false;
      try {
        await this.#read();
      } catch {
        this.#wanted = true;
        await sleep(RETRY_MS);
      }
    }
  }

  async #read() {
    const sql = this.#connection.driver;
    // Lite answers an unreadable database with an empty description: ask first, so it throws here.
    const settings = await sql.unsafe(ROLE_SETTINGS);
    const arrays = await sql.unsafe(ARRAY_TYPES);
    const schema = exposedOnly(await this.#connection.introspect());
    this.roleSettings = Map.groupBy(settings, (row) => row.role);
    for (const [role, rows] of this.roleSettings) {
      const entries = rows.map(({ name, value }) => [name, value]);
      this.roleSettings.set(role, Object.fromEntries(entries));
    }
    this.arrays = arrays;
    this.schema = schema;
    this.#onChange(this);
  }
}

function exposedOnly(description) {
  const isExposed = (entry) =>
    EXPOSED_SCHEMAS.includes(entry.schema) &&
    EXPOSED_SCHEMAS.includes(entry.ref_schema ?? "public");
  const unfiltered = new Set(["custom_types", "timezones"]);
  const entries = Object.entries(description).map(([name, value]) => [
    name,
    Array.isArray(value) && !unfiltered.has(name) ? value.filter(isExposed) : value,
  ]);
  return Object.fromEntries(entries);
}
