// Supabase Realtime: at most once, in any order, and now and then not at all.
import { backoffMs, pause } from "./backoff.js";

const followed = new WeakMap();

/** Hear what is sent on a private topic until the signal aborts; resolves when the channel is left. */
export async function joinTopic(supabase, topic, { onMessage, onJoined, onLost }, signal) {
  for (let tries = 0; !signal.aborted; tries += 1) {
    if (tries > 0) await pause(backoffMs(tries - 1), signal);
    try {
      // Clerk's tokens live for a minute: the one at hand may be over.
      await supabase.realtime.setAuth();
      const old = supabase.getChannels().find((it) => it.topic === `realtime:${topic}`);
      if (old && followed.get(old)?.aborted === false) throw new Error(`${topic} is followed already.`);
      // Else the same channel would come back: still leaving, and deaf for ever.
      if (old) await supabase.removeChannel(old);
    } catch (error) {
      if (!signal.aborted) onLost(error);
      continue;
    }
    if (signal.aborted) return;
    await new Promise((closed) => {
      const config = { private: true, broadcast: { self: false } };
      const channel = supabase.channel(topic, { config });
      followed.set(channel, signal);
      const leave = () => supabase.removeChannel(channel).then(closed, closed);
      signal.addEventListener("abort", leave);
      channel.on("broadcast", { event: "events" }, (message) => {
        if (!signal.aborted) onMessage(message.payload);
      });
      channel.subscribe((status, error) => {
        if (signal.aborted) return;
        if (status === "SUBSCRIBED") {
          tries = 0;
          onJoined();
          return;
        }
        onLost(error ?? new Error(`Realtime: ${status}`));
        if (status === "CLOSED") {
          // By the server: supabase-js does not join such a channel again.
          signal.removeEventListener("abort", leave);
          closed();
        } else {
          // It joins again by itself, with the token that it has by then.
          supabase.realtime.setAuth().catch(() => {});
        }
      });
    });
  }
}
