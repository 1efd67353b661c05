/** Waits until `condition` holds. @throws Error naming `what` when it does not in time */
export async function until(condition: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((fulfil) => setTimeout(fulfil, 10));
  }
}
