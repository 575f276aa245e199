// Who hears an answer while it is said, in supabase-js. Run by test_realtime.py.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { closeAll, follow, isLive, textOf, until } from "../broadcast/project.mjs";

const require = createRequire(new URL("../../supabase/local/package.json", import.meta.url));
const { createClient } = require("@supabase/supabase-js");
const { url, key, mine, theirs } = JSON.parse(process.env.FACTS);

const signedIn = (token) => createClient(url, key, { accessToken: async () => token });
const me = signedIn(mine);
const them = signedIn(theirs);
const anonymous = createClient(url, key, { auth: { persistSession: false } });
// A Realtime that nobody has used yet makes its tables first.
const patience = 40;
const said = `offline: ${JSON.stringify({ deltas: 30, delay_ms: 40, text: "über 😀 " })}`;
const endings = ["run.completed", "run.incomplete", "run.failed"];

const ok = ({ data, error }) => {
  assert.equal(error, null);
  return data;
};
const startSession = async () => ok(await me.from("chat_sessions").insert({ title: "A chat" }).select().single());
const say = async (session) => ok(await me.from("messages").insert({ session_id: session.id, content: said }).select().single());

async function join(client, session) {
  await client.realtime.setAuth();
  const joined = { events: [], statuses: [], problems: [] };
  const channel = client.channel(`session:${session.id}`, { config: { private: true } });
  channel.on("broadcast", { event: "events" }, ({ payload }) => joined.events.push(...payload.events));
  channel.subscribe((status, error) => {
    joined.statuses.push(status);
    if (error) joined.problems.push(error.message);
  });
  return joined;
}
const isIn = (joined) => until(() => joined.statuses.includes("SUBSCRIBED"), "a member", patience);

after(async () => {
  await closeAll();
  for (const client of [me, them, anonymous]) await client.removeAllChannels();
});

test("the owner hears the whole answer, and nobody else joins", async () => {
  const session = await startSession();
  const mine = await join(me, session);
  await isIn(mine);
  const others = [await join(them, session), await join(anonymous, session)];
  const refused = /permissions to read/;
  await until(() => others[0].problems.some((it) => refused.test(it)), "refused", patience);
  await until(() => others[1].problems.length > 0, "refused, too", patience);

  await say(session);
  await until(() => mine.events.some((it) => endings.includes(it.type)), "an ending", patience);

  const [run] = ok(await me.from("runs").select("id").eq("session_id", session.id));
  const read = () => me.rpc("read_stream", { p_session_id: session.id, p_last_event_id: `${run.id}:0` });
  const stream = ok(await read()).events;
  assert.equal(stream.at(-1).type, "run.completed");
  // Messages may overtake each other.
  await until(() => mine.events.length >= stream.length, "every event", patience);
  assert.deepEqual(mine.events.toSorted((a, b) => a.seq - b.seq), stream);
  const [answer] = ok(await me.from("messages").select().eq("session_id", session.id).eq("role", "assistant"));
  assert.equal(stream.map((it) => it.text ?? "").join(""), textOf(answer));
  for (const other of others) {
    assert.deepEqual(other.events, []);
    assert.ok(!other.statuses.includes("SUBSCRIBED"));
  }
});

test("web/stream shows the answer while it is said", async () => {
  const session = await startSession();
  const seen = follow(me, session.id);
  await isLive(seen, patience);

  await say(session);
  const answers = () => seen.handle.state.messages.filter((it) => it.role === "assistant" && it.status !== "streaming");
  await until(() => answers().length === 1, "an answer", patience);

  const [answer] = answers();
  const pieces = new Set(seen.views.flatMap((it) => it.messages).filter((it) => it.id === answer.id).map(textOf));
  assert.ok(pieces.size >= 5, `${pieces.size} pieces`);
  assert.equal(seen.texts.get(answer.id), textOf(answer));
});
