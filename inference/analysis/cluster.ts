import { makeUnit, similarity } from '../recognise/similarity.ts';
import type { FrameRange, Tracklet } from './analysis.ts';

/** So many looks alike make it dense enough around a tracklet that others may be joined through it. */
const CORE_LOOKS = 3;
/** So many tracklets, those with most looks, are compared with each other; the others with what came of that. */
const MAX_COMPARED = 2000;

type Pair = readonly [similarity: number, a: number, b: number];

/** Tracklets of one person, as far as can be told: grows by joining others. */
interface Cluster {
  readonly members: number[];
  readonly sum: Float32Array;
}

/**
 * Puts tracklets of one person together: density-based, by the cosine of what their looks say together. A tracklet
 * around which there are enough looks is a core; cores alike are joined, the most alike first, unless the two groups are
 * on screen together in some frame, or not alike as wholes; the other tracklets go with the core that they are most
 * like, or stay alone.
 * @param minSimilarity from here on two are alike, 0..1
 * @returns indices of `tracklets`, each once
 * @see DBSCAN, Ester et al. 1996; with constraints, Ruiz et al. 2007
 */
export function clusterTracklets(tracklets: readonly Tracklet[], minSimilarity: number): number[][] {
  const order = tracklets
    .map((_, i) => i)
    .sort((a, b) => tracklets[b]!.looks.length - tracklets[a]!.looks.length || a - b);
  const compared = order.slice(0, MAX_COMPARED);
  const pairs = alikePairs(tracklets, compared, minSimilarity);
  const around = new Map(compared.map((i) => [i, tracklets[i]!.looks.length]));
  for (const [, a, b] of pairs) {
    around.set(a, around.get(a)! + tracklets[b]!.looks.length);
    around.set(b, around.get(b)! + tracklets[a]!.looks.length);
  }
  const isCore = (i: number) => (around.get(i) ?? 0) >= CORE_LOOKS;
  const clusterOf = tracklets.map((tracklet, i): Cluster => ({ members: [i], sum: weighted(tracklet) }));

  const join = (a: number, b: number): void => {
    const [one, other] = [clusterOf[a]!, clusterOf[b]!];
    if (one === other || areTogether(tracklets, one, other)) return;
    if (!(similarityOf(one, other) >= minSimilarity)) return;
    one.members.push(...other.members);
    for (const [i, value] of other.sum.entries()) one.sum[i]! += value;
    for (const member of other.members) clusterOf[member] = one;
  };
  for (const [, a, b] of pairs) if (isCore(a) && isCore(b)) join(a, b);
  for (const [, a, b] of pairs) {
    const border = isCore(a) ? b : a;
    if (isCore(a) !== isCore(b) && clusterOf[border]!.members.length === 1) join(a, b);
  }
  for (const i of order.slice(MAX_COMPARED)) {
    let [best, most] = [i, minSimilarity];
    for (const cluster of new Set(clusterOf)) {
      const alike = cluster === clusterOf[i] ? 0 : similarityOf(clusterOf[i]!, cluster);
      if (alike >= most && !areTogether(tracklets, clusterOf[i]!, cluster)) [best, most] = [cluster.members[0]!, alike];
    }
    join(best, i);
  }
  return [...new Set(clusterOf)].map(({ members }) => members.toSorted((a, b) => a - b));
}

/** Whether some frame shows both. */
export function overlap(a: FrameRange, b: FrameRange): boolean {
  return a.firstFrame <= b.lastFrame && b.firstFrame <= a.lastFrame;
}

/** The most alike first. */
function alikePairs(tracklets: readonly Tracklet[], compared: readonly number[], minSimilarity: number): Pair[] {
  const pairs: Pair[] = [];
  for (const [at, a] of compared.entries()) {
    for (let next = at + 1; next < compared.length; next++) {
      const b = compared[next]!;
      const alike = similarity(tracklets[a]!.mean, tracklets[b]!.mean);
      if (alike >= minSimilarity && !overlap(tracklets[a]!, tracklets[b]!)) pairs.push([alike, a, b]);
    }
  }
  return pairs.sort(([s, a, b], [t, c, d]) => t - s || a - c || b - d);
}

/** One look less or more says more or less. */
function weighted({ mean, looks }: Tracklet): Float32Array {
  return mean.map((value) => value * looks.length);
}

function areTogether(tracklets: readonly Tracklet[], one: Cluster, other: Cluster): boolean {
  return one.members.some((a) => other.members.some((b) => overlap(tracklets[a]!, tracklets[b]!)));
}

function similarityOf(one: Cluster, other: Cluster): number {
  const [a, b] = [one.sum.slice(), other.sum.slice()];
  return makeUnit(a) && makeUnit(b) ? similarity(a, b) : 0;
}
