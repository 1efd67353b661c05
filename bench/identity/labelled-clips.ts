import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type OverlayOptions } from 'sharp';
import type { Detector } from '../../inference/detect/detector.ts';
import { detectInStill } from '../../inference/image/still-detection.ts';
import type { KnownPerson } from '../../inference/policy.ts';
import type { FaceEmbedder } from '../../inference/recognise/face-embedder.ts';
import { refusalOf } from '../../inference/recognise/look-quality.ts';
import type { Detection } from '../../inference/track/box.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import type { Box, Motion } from '../clip-motion.ts';
import { cachedClip, photoBoxes, type ReadyClip, TESTDATA_FOLDER } from '../clips.ts';
import { readStill } from './labelled-looks.ts';

const IDENTITY = join(TESTDATA_FOLDER, 'identity');
const SECONDS = 4;
/** As many photos as somebody who enrols a person may have at hand. */
const ENROLLED_PHOTOS = 3;

/** What faces are found and told apart with. */
export interface Models {
  readonly detector: Detector;
  readonly entry: ModelEntry;
  readonly embedder: FaceEmbedder;
}

/** A moving clip whose every face has a name. */
export interface LabelledClip {
  readonly clip: ReadyClip;
  /** By the truth's face ids; null for somebody whom nobody knows. */
  readonly people: readonly (string | null)[];
  /** The photos that the clip was made from, which nobody is enrolled by. */
  readonly photos: readonly string[];
}

/** Photos of several people who have photos of their own; by box of the manifest who it is, told by eye. */
const GROUPS: readonly [name: string, photo: string, people: readonly string[]][] = [
  ['family-1', 'azure-samples_identification1.jpg', ['Family1-Mom', 'Family1-Dad', 'Family1-Son', 'Family1-Daughter']],
  ['family-2', 'azure-samples_test-image-person-group.jpg', ['Family2-Lady', 'Family2-Man']],
  ['family-3', 'azure-samples_detection6.jpg', ['Family3-Man', 'Family3-Lady']],
];
const MOTIONS: readonly Motion[] = ['pan', 'shake', 'zoom'];

/** Crowds put together from one photo each: columns, rows, and pixels of a photo's side. */
const CROWD = { columns: 3, rows: 2, sidePx: 420 };
const CROWDS = 6;
/** A photo of an own and so many to be enrolled by. */
const CROWD_PHOTOS = 1 + ENROLLED_PHOTOS;

/** Families before a camera, and made crowds. */
export async function labelledClips(models: Models): Promise<LabelledClip[]> {
  const clips: LabelledClip[] = [];
  for (const [name, file, people] of GROUPS) {
    const photo = `detect/group/${file}`;
    const options = { photo: join(TESTDATA_FOLDER, photo), boxes: photoBoxes(photo), seed: 1, seconds: SECONDS };
    for (const motion of MOTIONS) {
      clips.push({ clip: await cachedClip(`${name}-${motion}`, { ...options, motion }), people, photos: [photo] });
    }
  }
  for (let crowd = 0; crowd < CROWDS; crowd++) clips.push(await makeCrowd(models, crowd));
  return clips;
}

/** Who can be enrolled, by photos that are not in the clip: the first few on which they show. */
export async function enrol(models: Models, person: string, photos: readonly string[]): Promise<KnownPerson> {
  const embeddings: Float32Array[] = [];
  for (const path of photosOf(person)) {
    if (photos.includes(path) || embeddings.length === ENROLLED_PHOTOS) continue;
    const picture = readStill(readFileSync(join(IDENTITY, path)));
    const [face] = await largestFirst(models, path);
    const look = face && models.embedder.look(picture, face);
    if (look && refusalOf(look.quality) === null) embeddings.push(await models.embedder.embed(look.chip));
    picture.free();
  }
  return { id: person, embeddings };
}

function photosOf(person: string): string[] {
  return readdirSync(join(IDENTITY, person))
    .toSorted()
    .map((file) => join(person, file));
}

async function largestFirst({ detector, entry }: Models, path: string): Promise<Detection[]> {
  const picture = readStill(readFileSync(join(IDENTITY, path)));
  try {
    return (await detectInStill(detector, entry, picture)).toSorted((a, b) => b.w * b.h - a.w * a.h);
  } finally {
    picture.free();
  }
}

/** People of whom there are enough photos, next to one another: every crowd with others, and other photos of them. */
async function makeCrowd(models: Models, crowd: number): Promise<LabelledClip> {
  const { columns, rows, sidePx } = CROWD;
  const known = readdirSync(IDENTITY)
    .filter((name) => !name.startsWith('_') && name !== 'lfw-aligned' && photosOf(name).length >= CROWD_PHOTOS)
    .toSorted();
  const people = Array.from({ length: columns * rows }, (_, i) => known[(crowd * 5 + i * 3) % known.length]!);
  const photos = people.map((person) => photosOf(person)[crowd % 2]!);
  const boxes: Box[] = [];
  const labels: (string | null)[] = [];
  const tiles: OverlayOptions[] = [];
  for (const [i, photo] of photos.entries()) {
    const path = join(IDENTITY, photo);
    const [left, top] = [(i % columns) * sidePx, Math.floor(i / columns) * sidePx];
    const input = await sharp(path).rotate().resize(sidePx, sidePx, { fit: 'contain' }).toBuffer();
    tiles.push({ input, left, top });
    const { width, height } = await sharp(path)
      .rotate()
      .toBuffer({ resolveWithObject: true })
      .then(({ info }) => info);
    const scale = sidePx / Math.max(width, height);
    const [offX, offY] = [left + (sidePx - width * scale) / 2, top + (sidePx - height * scale) / 2];
    for (const [n, { x, y, w, h }] of (await largestFirst(models, photo)).entries()) {
      boxes.push([offX + x * scale, offY + y * scale, w * scale, h * scale]);
      labels.push(n === 0 ? people[i]! : null);
    }
  }
  const background = {
    create: { width: columns * sidePx, height: rows * sidePx, channels: 3 as const, background: '#777' },
  };
  const photo = await sharp(background).composite(tiles).png().toBuffer();
  const motion = MOTIONS[crowd % MOTIONS.length]!;
  const clip = await cachedClip(`crowd-${crowd}-${motion}`, { photo, boxes, motion, seed: 1, seconds: SECONDS });
  return { clip, people: labels, photos };
}
