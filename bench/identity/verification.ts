/** How alike two faces looked, and whether they are one person's. */
export interface ScoredPair {
  readonly similarity: number;
  readonly same: boolean;
}

/** What a threshold makes of pairs; parts of 1. Null where there is no such pair. */
export interface Rates {
  readonly threshold: number;
  /** Same people taken for the same. */
  readonly trueAccept: number | null;
  /** Different people taken for the same. */
  readonly falseAccept: number | null;
  /** Of all pairs, those that are told right. */
  readonly accuracy: number | null;
}

/** Thresholds are given in steps of so much. */
export const STEP = 0.0025;
const LOWEST = 0.7;

export function ratesAt(pairs: readonly ScoredPair[], threshold: number): Rates {
  let [sames, differents, trueAccepts, falseAccepts] = [0, 0, 0, 0];
  for (const { similarity, same } of pairs) {
    const isAccepted = similarity >= threshold;
    if (same) {
      sames++;
      if (isAccepted) trueAccepts++;
    } else {
      differents++;
      if (isAccepted) falseAccepts++;
    }
  }
  const part = (count: number, of: number) => (of === 0 ? null : count / of);
  return {
    threshold,
    trueAccept: part(trueAccepts, sames),
    falseAccept: part(falseAccepts, differents),
    accuracy: part(trueAccepts + differents - falseAccepts, pairs.length),
  };
}

/** The threshold that tells most pairs right; of several, the highest. */
export function mostAccurate(pairs: readonly ScoredPair[]): number {
  let best = ratesAt(pairs, 1);
  for (const threshold of steps()) {
    const rates = ratesAt(pairs, threshold);
    if ((rates.accuracy ?? 0) > (best.accuracy ?? 0)) best = rates;
  }
  return best.threshold;
}

/** The lowest threshold at which no set lets more than so many of its different people pass. */
export function lowestAccept(sets: readonly (readonly ScoredPair[])[], maxFalseAccept: number): number {
  const passing = steps().filter((t) => sets.every((set) => (ratesAt(set, t).falseAccept ?? 0) <= maxFalseAccept));
  return Math.min(1, ...passing);
}

/** The highest threshold below which no set has more than so many of its same people. */
export function highestReject(sets: readonly (readonly ScoredPair[])[], maxFalseReject: number): number {
  const passing = steps().filter((t) => sets.every((set) => 1 - (ratesAt(set, t).trueAccept ?? 1) <= maxFalseReject));
  return Math.max(0, ...passing);
}

/** As many different pairs as same ones, spread evenly over those that there are. */
export function balanced(pairs: readonly ScoredPair[]): ScoredPair[] {
  const same = pairs.filter((pair) => pair.same);
  const different = pairs.filter((pair) => !pair.same);
  const count = Math.min(same.length, different.length);
  const spread = (from: readonly ScoredPair[]) =>
    Array.from({ length: count }, (_, i) => from[Math.floor((i * from.length) / count)]!);
  return [...spread(same), ...spread(different)];
}

/** From the highest to the lowest. */
function steps(): number[] {
  const count = Math.round((1 - LOWEST) / STEP);
  // Of whole steps, so that a threshold prints as it is.
  return Array.from({ length: count }, (_, i) => Math.round((1 - i * STEP) / STEP) / Math.round(1 / STEP));
}
