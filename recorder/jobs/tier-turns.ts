import { JOB_TIERS, type JobTier } from './job.ts';

export type TierWeights = Readonly<Record<JobTier, number>>;

/** Of ten jobs begun while all tiers have some, so many are of each. */
export const TIER_WEIGHTS: TierWeights = Object.freeze({ high: 6, normal: 3, low: 1 });

/**
 * Whose turn it is: smooth weighted round robin, as nginx has it. A tier that has nothing to do loses its turn to the
 * others and is owed nothing later, so whoever waits in the lowest is served after at most the sum of the weights.
 */
export class TierTurns {
  readonly #weights: TierWeights;
  readonly #total: number;
  readonly #credit: Record<JobTier, number> = { high: 0, normal: 0, low: 0 };

  constructor(weights: TierWeights = TIER_WEIGHTS) {
    this.#weights = weights;
    this.#total = JOB_TIERS.reduce((sum, tier) => sum + weights[tier], 0);
  }

  /** @returns all tiers, the one whose turn it is first, then by how soon theirs comes */
  next(): JobTier[] {
    for (const tier of JOB_TIERS) this.#credit[tier] += this.#weights[tier];
    const order = [...JOB_TIERS].sort((a, b) => this.#credit[b] - this.#credit[a]);
    this.#credit[order[0]!] -= this.#total;
    return order;
  }
}
