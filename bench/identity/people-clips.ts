import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type OverlayOptions } from 'sharp';
import type { Detector } from '../../inference/detect/detector.ts';
import { detectInStill } from '../../inference/image/still-detection.ts';
import { refusalOf } from '../../inference/recognise/look-quality.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { type Box, boxesInView, type Camera, type Motion, viewAt } from '../clip-motion.ts';
import { ClipWriter } from '../clip-writer.ts';
import { chooseClips, OUT_FOLDER, prepareClip, TESTDATA_FOLDER } from '../clips.ts';
import { readPhoto, ViewSampler } from '../photo-planes.ts';
import { type LabelledLook, readStill } from './labelled-looks.ts';

/** A face in a frame of a clip. */
export interface PersonBox {
  /** Null for somebody without a name. */
  readonly person: string | null;
  readonly box: Box;
  /** The photo shows the face from the front. */
  readonly isFrontal: boolean;
}

/** A moving clip in which it is known where whose face is. */
export interface PeopleClip {
  readonly name: string;
  readonly file: string;
  readonly fps: number;
  /** Frames at which another shot begins, 0 among them. */
  readonly shots: readonly number[];
  readonly frames: readonly (readonly PersonBox[])[];
  /** Photos that the clip is made of: nobody may be enrolled by them. */
  readonly photos: readonly string[];
}

interface Still {
  readonly image: Uint8Array;
  readonly people: readonly PersonBox[];
  readonly motion: Motion;
  readonly photos: readonly string[];
}

const VERSION = 3;
const [WIDTH, HEIGHT, FPS] = [1280, 720, 30];
const SHOT_SECONDS = 6;
/** The nose is no further off the middle than this, in halves of the distance of the eyes. */
const MAX_FRONTAL_YAW = 0.4;

/** Photos of several people at a time, from left to right; others are in none of them larger. */
const GROUPS: readonly (readonly [photo: string, motion: Motion, ...people: string[]])[] = [
  ['identity/_group/obama_and_biden.jpg', 'shake', 'Joe_Biden', 'Barack_Obama'],
  ['identity/_group/obama_and_biden.jpg', 'zoom', 'Joe_Biden', 'Barack_Obama'],
  ['identity/_group/two_people.jpg', 'pan', 'Barack_Obama', 'Joe_Biden'],
  ['identity/_group/two_people.jpg', 'shake', 'Barack_Obama', 'Joe_Biden'],
  ['identity/_group/kit_with_rose.jpg', 'shake', 'Rose_Leslie', 'Kit_Harington'],
  [
    'detect/group/azure-samples_identification1.jpg',
    'shake',
    'Family1-Son',
    'Family1-Dad',
    'Family1-Mom',
    'Family1-Daughter',
  ],
  [
    'detect/group/azure-samples_identification1.jpg',
    'cut',
    'Family1-Son',
    'Family1-Dad',
    'Family1-Mom',
    'Family1-Daughter',
  ],
  ['detect/group/azure-samples_test-image-person-group.jpg', 'zoom', 'Family2-Man', 'Family2-Lady'],
];

/** Clips of real groups whose people are known. */
export async function groupClips(detector: Detector, entry: ModelEntry): Promise<PeopleClip[]> {
  const clips: PeopleClip[] = [];
  for (const [photo, motion, ...people] of GROUPS) {
    const path = join(TESTDATA_FOLDER, photo);
    const image = readFileSync(path);
    const picture = readStill(image);
    const faces = await detectInStill(detector, entry, picture);
    picture.free();
    const largest = new Set(faces.toSorted((a, b) => b.w * b.h - a.w * a.h).slice(0, people.length));
    const named = faces
      .toSorted((a, b) => a.x - b.x)
      .map(({ x, y, w, h }, i, all) => {
        const order = all.slice(0, i).filter((face) => largest.has(face)).length;
        const person = largest.has(all[i]!) ? people[order]! : null;
        return { person, box: [x, y, w, h] as const, isFrontal: true };
      });
    const name = `${photo.split('/').at(-1)!.split('.')[0]!}-${motion}`;
    clips.push(await makeClip(name, [{ image, people: named, motion, photos: [path] }]));
  }
  return clips;
}

/** Clips of the leak bench with faces large enough to tell who they are. */
const CROWDS = [
  ...['parade-149-pan', 'meeting-281-pan', 'parade-329-shake', 'group-16-pan', 'group-5-zoom', 'group-9-shake'],
  ...['stock-2-shake', 'group-18-cut', 'crowd-15-zoom', 'solvay-shake', 'group-3-cut', 'group-4-blur'],
];

/** Clips of people nobody of whom has a photo, each under a name of their own. */
export async function crowdClips(): Promise<PeopleClip[]> {
  const clips: PeopleClip[] = [];
  for (const recipe of chooseClips(CROWDS)) {
    const { name, file, truth } = await prepareClip(recipe);
    const frames = truth.frames.map((boxes) =>
      boxes.map(([id, ...box]): PersonBox => ({ person: `${name} ${id}`, box, isFrontal: true })),
    );
    clips.push({ name, file, fps: truth.fps, shots: [0], frames, photos: [] });
  }
  return clips;
}

/** Who is in one shot, how large, and where. */
const CARDS = [
  { left: 40, top: 60, facePx: 150 },
  { left: 620, top: 20, facePx: 200 },
  { left: 1320, top: 90, facePx: 110 },
  { left: 60, top: 600, facePx: 120 },
  { left: 700, top: 620, facePx: 90 },
  { left: 1300, top: 560, facePx: 170 },
] as const;
const CANVAS = { width: 1920, height: 1080 };
/** Nobody is in it, and it has detail by which the camera's motion can be told. */
const BACKGROUND = 'negative/pyimagesearch-imutils_bridge.jpg';
const MOTIONS: readonly Motion[] = ['shake', 'zoom', 'pan'];
const SHOTS = 3;
/** How much of the photo around the face is shown, in its sides. */
const AROUND = 0.75;

/**
 * Clips of several shots in which the same people appear in other company, each time by another photo, as in a report.
 * Whoever has four good photos takes part.
 */
export async function reportClips(looks: readonly LabelledLook[]): Promise<PeopleClip[]> {
  const good = looks.filter(({ quality }) => refusalOf(quality) === null);
  const people = [...Map.groupBy(good, ({ person }) => person).values()].filter((own) => own.length > SHOTS);
  const clips: PeopleClip[] = [];
  for (let first = 0; first < people.length; first += CARDS.length - 2) {
    const cast = Array.from({ length: CARDS.length }, (_, i) => people[(first + i) % people.length]!);
    const shots: Still[] = [];
    for (let shot = 0; shot < SHOTS; shot++) {
      // One of them is missing in each shot, and each stands somewhere else.
      const present = cast.filter((_, i) => i !== shot);
      const placed = present.map((own, i) => ({ look: own[shot]!, card: CARDS[(i + 2 * shot) % CARDS.length]! }));
      shots.push(await composeShot(placed, MOTIONS[(first + shot) % MOTIONS.length]!));
    }
    clips.push(await makeClip(`report-${first}`, shots));
  }
  return clips;
}

/**
 * Clips in which a face turns into somebody else's, at the same place and of the same size, while all else stays: what a
 * jump cut between two speakers is to a tracker, and the hardest case of one person being taken for another.
 */
export async function swapClips(looks: readonly LabelledLook[]): Promise<PeopleClip[]> {
  const good = looks.filter(({ quality }) => refusalOf(quality) === null);
  const people = [...Map.groupBy(good, ({ person }) => person).values()].filter((own) => own.length > SHOTS);
  const clips: PeopleClip[] = [];
  for (let first = 0; first < people.length; first += CARDS.length) {
    const stills: Still[] = [];
    for (let shot = 0; shot < SHOTS; shot++) {
      // Every third face is another person's from the next shot on.
      const person = (card: number) => first + card + (card % SHOTS < shot ? CARDS.length + 1 : 0);
      const placed = CARDS.map((card, i) => ({ look: people[person(i) % people.length]![0]!, card }));
      stills.push(await composeShot(placed, 'still'));
    }
    clips.push(await makeClip(`swap-${first}`, stills));
  }
  return clips;
}

async function composeShot(
  placed: readonly { readonly look: LabelledLook; readonly card: (typeof CARDS)[number] }[],
  motion: Motion,
): Promise<Still> {
  const layers: OverlayOptions[] = [];
  const people: PersonBox[] = [];
  for (const { look, card } of placed) {
    const { face } = look;
    const upright = await sharp(look.file).autoOrient().toBuffer({ resolveWithObject: true });
    const { width, height } = upright.info;
    const left = Math.max(0, Math.floor(face.x - face.w * AROUND));
    const top = Math.max(0, Math.floor(face.y - face.h * AROUND));
    const size = {
      width: Math.min(width, Math.ceil(face.x + face.w * (1 + AROUND))) - left,
      height: Math.min(height, Math.ceil(face.y + face.h * (1 + AROUND))) - top,
    };
    const scale = Math.min(2, card.facePx / Math.sqrt(face.w * face.h));
    const input = await sharp(upright.data)
      .extract({ left, top, ...size })
      .resize(Math.round(size.width * scale), Math.round(size.height * scale), { fit: 'fill' })
      .png()
      .toBuffer();
    layers.push({ input, left: card.left, top: card.top });
    const [x, y] = [card.left + (face.x - left) * scale, card.top + (face.y - top) * scale];
    people.push({
      person: look.person,
      box: [x, y, face.w * scale, face.h * scale],
      isFrontal: Math.abs(look.quality.yaw) <= MAX_FRONTAL_YAW,
    });
  }
  const canvas = sharp(join(TESTDATA_FOLDER, BACKGROUND)).resize(CANVAS.width, CANVAS.height, { fit: 'cover' });
  const image = await canvas.composite(layers).jpeg({ quality: 95 }).toBuffer();
  return { image, people, motion, photos: placed.map(({ look }) => look.file) };
}

/** Makes a clip of one still after the other, or finds it made. */
async function makeClip(name: string, stills: readonly Still[]): Promise<PeopleClip> {
  const hash = createHash('sha256').update(`${VERSION}`);
  for (const { image, people, motion } of stills) hash.update(image).update(JSON.stringify([people, motion]));
  const folder = join(OUT_FOLDER, 'people-clips');
  const file = join(folder, `${name}-${hash.digest('hex').slice(0, 12)}.mp4`);
  const truthFile = file.replace(/mp4$/, 'json');
  const photos = stills.flatMap((still) => still.photos);
  if (!existsSync(truthFile)) {
    mkdirSync(folder, { recursive: true });
    const frames = await writeStills(`${file}.part.mp4`, stills);
    renameSync(`${file}.part.mp4`, file);
    writeFileSync(truthFile, JSON.stringify(frames));
  }
  const frames = JSON.parse(readFileSync(truthFile, 'utf8')) as PersonBox[][];
  const shots = stills.map((_, i) => i * SHOT_SECONDS * FPS);
  return { name, file, fps: FPS, shots, frames, photos };
}

async function writeStills(output: string, stills: readonly Still[]): Promise<PersonBox[][]> {
  const seconds = SHOT_SECONDS * stills.length;
  const writer = await ClipWriter.create({ output, width: WIDTH, height: HEIGHT, fps: FPS, seconds });
  const frames: PersonBox[][] = [];
  try {
    for (const [shot, { image, people, motion }] of stills.entries()) {
      const photo = await readPhoto(image);
      const sampler = new ViewSampler(photo, WIDTH, HEIGHT);
      const camera: Camera = {
        ...{ photoWidth: photo.width, photoHeight: photo.height, width: WIDTH, height: HEIGHT },
        ...{ seconds: SHOT_SECONDS, motion, seed: shot + 1 },
      };
      const boxes = people.map(({ box }) => box);
      for (let n = 0; n < SHOT_SECONDS * FPS; n++) {
        const view = viewAt(camera, n / FPS);
        sampler.draw(view, writer.planes, writer.strides);
        const seen = boxesInView(boxes, view, WIDTH, HEIGHT);
        frames.push(seen.map(([id, ...box]) => ({ ...people[id]!, box })));
        await writer.write();
      }
    }
  } finally {
    await writer.close();
  }
  return frames;
}
