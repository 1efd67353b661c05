import type { Network } from './whip-publisher.ts';

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

/** A network that harms packets the same way at each run. */
export function badNetwork({ loss = 0, reorder = 0, duplicate = 0 }: Harm, seed: number): Network {
  const random = generator(seed);
  let delayed: { packet: Buffer; kind: 'video' | 'audio'; left: number }[] = [];
  return (packet, kind) => {
    const out: Buffer[] = [];
    if (random() >= loss) {
      if (random() < reorder) delayed.push({ packet, kind, left: OVERTAKEN_BY });
      else {
        out.push(packet);
        if (random() < duplicate) out.push(Buffer.from(packet));
      }
    }
    for (const one of delayed) if (one.kind === kind) one.left--;
    const due = delayed.filter((one) => one.kind === kind && one.left < 0);
    delayed = delayed.filter((one) => !due.includes(one));
    return [...out, ...due.map((one) => one.packet)];
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
