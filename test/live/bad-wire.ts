import type { Wire } from './whip-publisher.ts';

export interface Harm {
  /** Part of packets that never arrive. */
  readonly loss?: number;
  /** Part of packets that come after a few that were sent later. */
  readonly reorder?: number;
  /** Part of packets that come twice. */
  readonly duplicate?: number;
}

/** How many packets overtake one that is reordered. */
const OVERTAKEN_BY = 4;

/** A wire that harms packets the same way at each run. */
export function badWire({ loss = 0, reorder = 0, duplicate = 0 }: Harm, seed: number): Wire {
  const random = generator(seed);
  let delayed: { send: () => void; left: number }[] = [];
  return (send) => {
    if (random() >= loss) {
      if (random() < reorder) delayed.push({ send, left: OVERTAKEN_BY });
      else {
        send();
        if (random() < duplicate) send();
      }
    }
    for (const one of delayed) if (--one.left < 0) one.send();
    delayed = delayed.filter(({ left }) => left >= 0);
  };
}

/** mulberry32: a small generator whose numbers are the same everywhere. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
