export interface Backoff {
  /** After the first failure, at most. */
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * How long to wait after failure number `tries` (1..): twice as long each time, up to a cap, and of that a random part
 * between half and all, so that what failed together does not come back together.
 */
export function backoffMs({ baseMs, capMs }: Backoff, tries: number, random = Math.random): number {
  const most = Math.min(capMs, baseMs * 2 ** (tries - 1));
  return Math.round(most * (0.5 + random() / 2));
}
