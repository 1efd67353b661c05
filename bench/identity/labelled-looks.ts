import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Frame, Rational } from 'node-av';
import type { Detector } from '../../inference/detect/detector.ts';
import { decodeImage } from '../../inference/image/decode-image.ts';
import { detectInStill } from '../../inference/image/still-detection.ts';
import { EvenI420 } from '../../inference/media/even-i420.ts';
import type { FaceEmbedder } from '../../inference/recognise/face-embedder.ts';
import { type LookQuality, refusalOf } from '../../inference/recognise/look-quality.ts';
import { makeUnit, similarity } from '../../inference/recognise/similarity.ts';
import type { Detection, Landmarks } from '../../inference/track/box.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { readManifest, TESTDATA_FOLDER } from '../clips.ts';
import type { ScoredPair } from './verification.ts';

const IDENTITY = join(TESTDATA_FOLDER, 'identity');
const LFW = join(IDENTITY, 'lfw-aligned');
/** Photos of one unknown each; two folders are no person's. */
const DISTRACTORS = '_distractors';
const NO_PERSONS = ['lfw-aligned', '_group'];
/** Looks of which a track's mean is made. */
const SEEN = 3;
/** Where several people are in one picture. */
const COMPANY = ['detect/group/', 'detect/crowd/', 'detect/wider_full/'];
/** Pairs of one fold: half of them are of one person. No person is in two folds. */
const FOLD_PAIRS = 600;

/** Where the landmarks lie in the crops of `lfw-aligned`. */
const ARCFACE_LANDMARKS: Landmarks = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];
const ARCFACE_SIDE = 112;

/** What was seen of a person in one photo. */
export interface LabelledLook {
  readonly person: string;
  readonly file: string;
  readonly face: Detection;
  readonly quality: LookQuality;
  readonly embedding: Float32Array;
}

/** Decodes a still picture as the engine would; the caller frees it. */
export function readStill(file: Uint8Array): Frame {
  const picture = decodeImage(file);
  picture.timeBase = new Rational(1, 1);
  picture.pts = 0n;
  const converter = new EvenI420();
  try {
    return converter.convert(picture);
  } finally {
    converter.close();
  }
}

/** By photo of LFW, already aligned, its embedding; and the pairs, by fold. */
export async function lfwFolds(embedder: FaceEmbedder): Promise<ScoredPair[][]> {
  const [, ...lines] = readFileSync(join(LFW, 'pairs.csv'), 'utf8').trim().split('\n');
  const embeddings = new Map<string, Float32Array>();
  const embedded = async (file: string): Promise<Float32Array> => {
    const known = embeddings.get(file);
    if (known) return known;
    const face = { x: 0, y: 0, w: ARCFACE_SIDE, h: ARCFACE_SIDE, score: 1, landmarks: ARCFACE_LANDMARKS };
    const { embedding } = await lookAt(embedder, readFileSync(join(LFW, file)), face);
    embeddings.set(file, embedding);
    return embedding;
  };
  const folds: ScoredPair[][] = [];
  for (const [i, line] of lines.entries()) {
    const [a, b, same] = line.split(',') as [string, string, string];
    if (i % FOLD_PAIRS === 0) folds.push([]);
    folds.at(-1)!.push({ similarity: similarity(await embedded(a), await embedded(b)), same: same === '1' });
  }
  return folds;
}

/** The person of each labelled photo, found by the detector; who is in front where there are several. */
export async function labelledLooks(
  embedder: FaceEmbedder,
  detector: Detector,
  entry: ModelEntry,
): Promise<LabelledLook[]> {
  const looks: LabelledLook[] = [];
  for (const folder of readdirSync(IDENTITY).toSorted()) {
    if (NO_PERSONS.includes(folder)) continue;
    for (const name of readdirSync(join(IDENTITY, folder)).toSorted()) {
      const path = join(IDENTITY, folder, name);
      const picture = readStill(readFileSync(path));
      const faces = await detectInStill(detector, entry, picture);
      picture.free();
      const [face] = faces.toSorted((a, b) => b.w * b.h - a.w * a.h);
      if (!face) throw new Error(`the detector finds nobody in ${path}`);
      const person = folder === DISTRACTORS ? `${DISTRACTORS}/${name}` : folder;
      looks.push({ person, file: path, face, ...(await lookAt(embedder, readFileSync(path), face)) });
    }
  }
  return looks;
}

/**
 * Pairs of people in one picture, who are different ones, and mostly of one age, in one light and before one camera: what
 * a stream shows. Only looks that count.
 */
export async function companyPairs(
  embedder: FaceEmbedder,
  detector: Detector,
  entry: ModelEntry,
): Promise<ScoredPair[]> {
  const pairs: ScoredPair[] = [];
  const photos = readManifest().filter(({ file }) => COMPANY.some((folder) => file.startsWith(folder)));
  for (const { file } of photos) {
    const picture = readStill(readFileSync(join(TESTDATA_FOLDER, file)));
    const embeddings: Float32Array[] = [];
    for (const face of await detectInStill(detector, entry, picture)) {
      const look = embedder.look(picture, face);
      if (look && refusalOf(look.quality) === null) embeddings.push(await embedder.embed(look.chip));
    }
    picture.free();
    pairs.push(...embeddings.flatMap((a, i) => embeddings.slice(i + 1).map((b) => differing(a, b))));
  }
  return pairs;
}

function differing(a: Float32Array, b: Float32Array): ScoredPair {
  return { similarity: similarity(a, b), same: false };
}

async function lookAt(
  embedder: FaceEmbedder,
  file: Uint8Array,
  face: Detection,
): Promise<Pick<LabelledLook, 'quality' | 'embedding'>> {
  const picture = readStill(file);
  try {
    const look = embedder.look(picture, face);
    if (!look) throw new Error('a face has no landmarks; this bench needs YuNet');
    return { quality: look.quality, embedding: await embedder.embed(look.chip) };
  } finally {
    picture.free();
  }
}

/** All pairs of photos. */
export function allPairs(looks: readonly LabelledLook[]): ScoredPair[] {
  return looks.flatMap((a, i) =>
    looks.slice(i + 1).map((b) => ({
      similarity: similarity(a.embedding, b.embedding),
      same: a.person === b.person,
    })),
  );
}

/**
 * What a track is compared by: the mean of three of a person's photos, against one photo of an enrolled person. Everyone
 * with four photos takes part, each photo in its turn.
 */
export function trackPairs(looks: readonly LabelledLook[]): ScoredPair[] {
  const people = [...Map.groupBy(looks, ({ person }) => person).values()].filter(({ length }) => length > SEEN);
  const turns = people.map((own) =>
    own.map(({ embedding }, first) => {
      const seen = Array.from({ length: SEEN }, (_, i) => own[(first + 1 + i) % own.length]!.embedding);
      return { enrolled: embedding, seen: meanOf(seen) };
    }),
  );
  return turns.flatMap((own, person) =>
    turns.flatMap((others, other) =>
      others.map(({ seen }, i) => ({
        similarity: similarity(own[i % own.length]!.enrolled, seen),
        same: person === other,
      })),
    ),
  );
}

function meanOf(embeddings: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(embeddings[0]!.length);
  for (const embedding of embeddings) for (const [i, value] of embedding.entries()) mean[i]! += value;
  makeUnit(mean);
  return mean;
}

/** Divides people, so that nobody is on both sides. */
export function halvesByPerson(looks: readonly LabelledLook[]): [LabelledLook[], LabelledLook[]] {
  const people = [...new Set(looks.map(({ person }) => person))];
  const isFirst = (look: LabelledLook) => people.indexOf(look.person) % 2 === 0;
  return [looks.filter(isFirst), looks.filter((look) => !isFirst(look))];
}
