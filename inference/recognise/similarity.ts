/**
 * How alike two faces are, 0..1: the cosine of the angle between their embeddings, and 0 where that is more than a right
 * one. So a threshold that is published as a cosine is one here, and a cosine distance is 1 less it.
 * @param a of unit length, as `b` is, and of as many numbers
 */
export function similarity(a: Float32Array, b: Float32Array): number {
  let cosine = 0;
  for (let i = 0; i < a.length; i++) cosine += a[i]! * b[i]!;
  return clampSimilarity(cosine);
}

/** NaN stays what it is, which passes no threshold. */
export function clampSimilarity(cosine: number): number {
  return Math.min(1, Math.max(0, cosine));
}

/** Makes a vector one of unit length, in place. @returns false, and changes nothing, where it has no direction */
export function makeUnit(vector: Float32Array): boolean {
  let squared = 0;
  for (const value of vector) squared += value * value;
  // Written so that NaN is refused.
  if (!(squared > 0) || !Number.isFinite(squared)) return false;
  const factor = 1 / Math.sqrt(squared);
  for (let i = 0; i < vector.length; i++) vector[i]! *= factor;
  return true;
}
