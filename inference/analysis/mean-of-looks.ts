import { makeUnit } from '../recognise/similarity.ts';
import type { GoodLook } from './analysis.ts';

/** What looks say together: the mean of their embeddings, of unit length; null where there is none or it has no direction. */
export function meanOf(looks: readonly GoodLook[]): Float32Array | null {
  const [first] = looks;
  if (!first) return null;
  const mean = new Float32Array(first.embedding.length);
  for (const { embedding } of looks) for (const [i, value] of embedding.entries()) mean[i]! += value;
  return makeUnit(mean) ? mean : null;
}
