import { similarity } from '../../inference/recognise/similarity.ts';
import { GatewayError } from '../errors.ts';
import type { EmbeddedFaceView, EmbedView } from './views.ts';

const SIMILARITY_DIGITS = 6;

/** The one face of a picture that is compared. */
export interface ComparedFace {
  readonly box: EmbeddedFaceView['box'];
  readonly score: number;
  readonly quality: number;
  readonly refusal: string | null;
  readonly embedding: Float32Array;
}

/**
 * The face of a picture that is compared where there are several: the largest of those that tell well who they are; where
 * none does, the largest.
 * @param name the picture's, as the client called it
 * @throws GatewayError 'no-face'
 */
export function comparedFace({ faces }: EmbedView, name: string): ComparedFace {
  let best: ComparedFace | null = null;
  for (const { box, score, quality, refusal, embedding } of faces) {
    if (!embedding) continue;
    const face = { box, score, quality, refusal, embedding: Float32Array.from(embedding) };
    if (!best || isBetter(face, best)) best = face;
  }
  if (!best) throw new GatewayError('no-face', `${name}: there is no face in it`);
  return best;
}

/** How alike two faces are, 0..1. */
export function likeness(a: ComparedFace, b: ComparedFace): number {
  return Number(similarity(a.embedding, b.embedding).toFixed(SIMILARITY_DIGITS));
}

/** What a client is told of the face that was compared. */
export function comparedView({ box, score, quality, refusal }: ComparedFace) {
  return { box, score, quality, refusal };
}

function isBetter(a: ComparedFace, b: ComparedFace): boolean {
  if ((a.refusal === null) !== (b.refusal === null)) return a.refusal === null;
  return a.box[2] * a.box[3] > b.box[2] * b.box[3];
}
