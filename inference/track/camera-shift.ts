/** The largest motion looked for, as a fraction of the profile's length. */
const MAX_SHIFT = 0.12;
/** The shifted profiles must differ by less than this part of what the unshifted ones do, or nothing moved. */
const MIN_GAIN = 0.85;
/** Profiles that differ by less than this (luma levels) without a shift have not moved. */
const STILL = 0.25;
/** Past this multiple of what a typical entry differs by without a shift, more difference counts no more: what passes
 * before the camera has strong edges, and must not outweigh the picture behind it. */
const MAX_OUTLYING = 2;

/**
 * How far a picture's luma profile moved, in profile entries, to a fraction of one.
 * @param before column (or row) means of the earlier frame
 * @param after those of the later frame
 */
export function shiftBetween(before: Float32Array, after: Float32Array): number {
  const reach = Math.floor(before.length * MAX_SHIFT);
  if (before.length < 32 || before.length !== after.length) return 0;
  const cap = MAX_OUTLYING * medianDifference(before, after);
  const still = difference(before, after, 0, cap);
  if (still < STILL) return 0;
  let best = 0;
  let least = still;
  for (let s = -reach; s <= reach; s++) {
    if (s === 0) continue;
    const d = difference(before, after, s, cap, least);
    if (d < least) {
      least = d;
      best = s;
    }
  }
  const left = best === -reach ? Number.POSITIVE_INFINITY : difference(before, after, best - 1, cap);
  const right = best === reach ? Number.POSITIVE_INFINITY : difference(before, after, best + 1, cap);
  // A minimum at the end of the reach is no minimum, and one that hardly gains is noise.
  if (!Number.isFinite(left) || !Number.isFinite(right)) return 0;
  if (best !== 0 && least > MIN_GAIN * still) return 0;
  // The absolute difference falls as a V: its tip lies where lines of equal slope through the neighbours meet.
  const slope = Math.max(left, right) - least;
  return slope <= 0 ? best : best + (left - right) / (2 * slope);
}

function medianDifference(before: Float32Array, after: Float32Array): number {
  const differences = before.map((value, i) => Math.abs(value - after[i]!)).sort();
  return differences[differences.length >> 1]!;
}

/** So many entries are summed up before it is asked whether the sum is too large already. */
const AT_A_TIME = 32;

/**
 * Mean absolute difference where `after` is `before` moved by `s`, each entry's bounded by `cap`.
 * @param most once it is sure to be more it is not summed up any further
 */
function difference(
  before: Float32Array,
  after: Float32Array,
  s: number,
  cap: number,
  most = Number.POSITIVE_INFINITY,
): number {
  const from = Math.max(0, -s);
  const to = Math.min(before.length, before.length - s);
  const bound = most * (to - from);
  let sum = 0;
  for (let start = from; start < to && sum <= bound; start += AT_A_TIME) {
    const end = Math.min(to, start + AT_A_TIME);
    for (let i = start; i < end; i++) {
      const d = before[i]! - after[i + s]!;
      sum += Math.min(cap, d < 0 ? -d : d);
    }
  }
  return sum / (to - from);
}
