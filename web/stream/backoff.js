/** Milliseconds that double with each try up to half a minute, times 0.5 to 1.5. */
export function backoffMs(tries, firstMs = 1_000) {
  return Math.min(30_000, firstMs * 2 ** Math.min(tries, 10)) * (0.5 + Math.random());
}

/** Resolves after so long, or at once when the signal aborts. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
