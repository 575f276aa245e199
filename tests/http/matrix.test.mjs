// The attempts of tests/db/matrix in supabase-js. Run by test_matrix_over_http.py, which compares.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(new URL("../../supabase/local/package.json", import.meta.url));
const { createClient } = require("@supabase/supabase-js");
const facts = JSON.parse(process.env.FACTS);
const { url, keys, bearers, attempts, keeps } = JSON.parse(readFileSync(facts.given, "utf8"));

const auth = { persistSession: false, autoRefreshToken: false };
const operator = createClient(url, keys.secret, { auth });
const clients = Object.fromEntries(
  Object.entries(bearers).map(([who, token]) => [
    who,
    createClient(url, keys.publishable, token ? { accessToken: async () => token } : { auth }),
  ]),
);

function request(client, { verb, target, values, where, on }) {
  if (verb === "call") return client.rpc(target, values);
  const table = client.from(target);
  const onConflict = on.replaceAll(" ", "");
  const make = {
    select: () => table.select("*"),
    count: () => table.select("*", { count: "exact" }),
    embed: () => table.select(`id, ${on.split(" ")[0]}(id)`),
    insert: () => table.insert(values).select(),
    update: () => table.update(values),
    delete: () => table.delete(),
    merge: () => table.upsert(values, { onConflict }).select(),
    ignore: () => table.upsert(values, { onConflict, ignoreDuplicates: true }).select(),
  };
  let made = make[verb]();
  for (const [name, value] of Object.entries(where)) made = made.eq(name, value);
  if (verb !== "update" && verb !== "delete") return made;
  if (Object.keys(where).length === 0) made = made.not("id", "is", null);
  return made.select();
}

function rowsOf({ verb, on }, { data, count }) {
  if (verb === "count") return count;
  if (verb === "embed") {
    const inside = data.map((row) => row[on.split(" ")[0]]);
    return inside.reduce((sum, it) => sum + (Array.isArray(it) ? it.length : Number(it !== null)), 0);
  }
  return Array.isArray(data) ? data.length : Number(data !== null);
}

async function answer(client, operation) {
  const given = await request(client, operation);
  const { status, error } = given;
  if (!error) return [status, rowsOf(operation, given)];
  return [status, error.code, error.message, error.details, error.hint];
}

const ask = async (name) => {
  if (!keeps) return null;
  const { data, error } = await operator.rpc(name);
  assert.equal(error, null);
  return data;
};

test("every attempt is answered", async () => {
  const found = { before: await ask("world_fingerprint") };
  for (const { id, who, operation, restores } of attempts) {
    if (restores && !found.between) {
      found.between = await ask("world_fingerprint");
      await ask("restore_world");
    }
    found[id] = await answer(clients[who], operation);
    if (restores) await ask("restore_world");
  }
  found.after = await ask("world_fingerprint");
  writeFileSync(facts.found, JSON.stringify(found));
});
