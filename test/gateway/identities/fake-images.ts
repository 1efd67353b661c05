import { InferenceError } from '../../../inference/errors.ts';
import type { ImageEmbeddings, ImageEngine } from '../../../inference/image/image-engine.ts';
import type { EmbeddedFace } from '../../../inference/image/image-messages.ts';
import { makeUnit } from '../../../inference/recognise/similarity.ts';

export const FAKE_RECOGNISER = { name: 'face-recogniser', sha256: 'ab'.repeat(32) };
export const DIMENSION = 128;

/** What a fake photo shows, a face for each. */
export interface FakeFace {
  /** Whose face it is: the same in each photo, but for a little. */
  readonly person?: string;
  readonly side?: number;
  readonly score?: number;
  readonly quality?: number;
  readonly refusal?: EmbeddedFace['refusal'];
}

/** A file that the fake engine reads as a photo of these faces. */
export function fakePhoto(...faces: readonly FakeFace[]): Uint8Array {
  return Buffer.from(JSON.stringify({ faces }));
}

/** What the fake recogniser makes of a person: of unit length, the same for the same name. */
export function fakeEmbedding(person: string): Float32Array {
  let state = [...person].reduce((sum, letter) => (Math.imul(sum, 31) + letter.codePointAt(0)!) >>> 0, 7);
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const embedding = Float32Array.from({ length: DIMENSION }, next);
  makeUnit(embedding);
  return embedding;
}

/** A still picture engine without models: photos are made by `fakePhoto`. */
export class FakeImages implements Pick<ImageEngine, 'embedFaces'> {
  asked = 0;
  /** Thrown for the next picture. */
  failure: Error | null = null;
  /** A picture waits for this. */
  gate: Promise<void> = Promise.resolve();
  /** Every embedding that was handed out. */
  readonly given: Float32Array[] = [];

  async embedFaces(
    image: Uint8Array,
    options: Parameters<ImageEngine['embedFaces']>[1] = {},
  ): Promise<ImageEmbeddings> {
    this.asked++;
    await this.gate;
    if (options.signal?.aborted) throw new InferenceError('aborted', 'nobody waits for it any more');
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
    const faces = readPhoto(image).map((face, i) => this.#embed(face, i, options.thumbnails === true));
    return {
      width: 640,
      height: 480,
      faces,
      model: FAKE_RECOGNISER.name,
      detector: 'fake',
      dimension: DIMENSION,
      thresholds: { accept: 0.9, track: 0.95, reject: 0.85 },
      tookMs: 1,
    };
  }

  #embed(face: FakeFace, i: number, thumbnails: boolean): EmbeddedFace {
    const { person = 'someone', side = 100, score = 0.9, quality = 0.8, refusal = null } = face;
    const embedding = refusal === 'no-landmarks' ? null : fakeEmbedding(person);
    if (embedding) this.given.push(embedding);
    const detection = { x: 10 * i, y: 10, w: side, h: side, score };
    const thumbnail = thumbnails ? Buffer.from(`thumbnail of ${person}`) : null;
    return { detection, quality, refusal, embedding, thumbnail };
  }
}

function readPhoto(image: Uint8Array): readonly FakeFace[] {
  try {
    return JSON.parse(Buffer.from(image).toString()).faces;
  } catch {
    throw new InferenceError('input-unreadable', 'it is no JPEG, PNG or WebP picture');
  }
}
