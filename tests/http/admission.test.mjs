// What supabase-js is told when there is no place left, and that it is enough to come back in time.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(new URL("../../supabase/local/package.json", import.meta.url));
const { createClient } = require("@supabase/supabase-js");
const { url, key, mine } = JSON.parse(process.env.FACTS);
const db = createClient(url, key, { accessToken: async () => mine });

test("a refusal has a status, a code, and the seconds to wait", async () => {
  const { data, error, status } = await db.from("chat_sessions").insert({ title: "One more" }).select();

  assert.equal(data, null);
  assert.equal(status, 429);
  assert.equal(error.code, "PT429");
  assert.match(error.message, /^Too many sessions: the limit is 500 a day per user\. Try again in \d+ s\.$/);
  const { limit, retry_after_s } = JSON.parse(error.details);
  assert.equal(limit, "user_sessions_per_day");
  assert.ok(retry_after_s >= 1 && retry_after_s <= 173);
});
