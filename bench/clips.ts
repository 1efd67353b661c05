import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { Effect } from './clip-effect.ts';
import type { Box, Motion, Truth } from './clip-motion.ts';
import { CLIP_VERSION, type MakeClipOptions, makeClip } from './make-clip.ts';

const ROOT = join(import.meta.dirname, '..');

/** Where benches put what they make; ignored by git. */
export const OUT_FOLDER = join(ROOT, 'bench', 'out');

/** Photos with true face boxes, next to the repository; they may be used to measure but never copied into it. */
export const TESTDATA_FOLDER = join(ROOT, '..', 'shared', 'testdata');

/** One clip of the suite, by recipe. */
export interface SuiteClip {
  name: string;
  /** Path below `TESTDATA_FOLDER`. */
  photo: string;
  motion: Motion;
  effect?: Effect;
  seed: number;
  /** Nothing was chosen on it: what it shows is how well what was chosen on the others carries over. */
  isHeldOut?: true;
}

/** A clip on disk. */
export interface ReadyClip {
  name: string;
  motion: Motion;
  file: string;
  truthFile: string;
  truth: Truth;
  seconds: number;
}

const WIDER = 'detect/wider_full';
const GROUP = 'detect/group';
const CROWD = 'detect/crowd';

/**
 * Official boxes from 10 px up, and groups with larger faces: every motion on both, every effect, and photos of their
 * own for the clips that are held out.
 */
export const SUITE: readonly SuiteClip[] = [
  { name: 'parade-149-pan', photo: `${WIDER}/0_Parade_marchingband_1_149.jpg`, motion: 'pan', seed: 1 },
  {
    name: 'meeting-281-pan',
    photo: `${WIDER}/11_Meeting_Meeting_11_Meeting_Meeting_11_281.jpg`,
    motion: 'pan',
    seed: 2,
  },
  { name: 'parade-20-zoom', photo: `${WIDER}/0_Parade_marchingband_1_20.jpg`, motion: 'zoom', seed: 1 },
  { name: 'parade-234-zoom', photo: `${WIDER}/0_Parade_marchingband_1_234.jpg`, motion: 'zoom', seed: 2 },
  { name: 'parade-329-shake', photo: `${WIDER}/0_Parade_marchingband_1_329.jpg`, motion: 'shake', seed: 1 },
  { name: 'parade-37-cut', photo: `${WIDER}/0_Parade_marchingband_1_37.jpg`, motion: 'cut', seed: 1 },
  { name: 'group-16-pan', photo: `${GROUP}/linzaer_16.jpg`, motion: 'pan', seed: 1 },
  { name: 'group-5-zoom', photo: `${GROUP}/vladmandic_group-5.jpg`, motion: 'zoom', seed: 1 },
  { name: 'group-9-shake', photo: `${GROUP}/linzaer_9.jpg`, motion: 'shake', seed: 1 },
  { name: 'stock-2-shake', photo: `${GROUP}/vladmandic_stock-group-2.jpg`, motion: 'shake', seed: 2 },
  { name: 'group-18-cut', photo: `${GROUP}/linzaer_18.jpg`, motion: 'cut', seed: 1 },
  { name: 'friends-cut', photo: `${GROUP}/azure-samples_identification1.jpg`, motion: 'cut', seed: 2 },
  ...effects([
    ['parade-149-occlusion', `${WIDER}/0_Parade_marchingband_1_149.jpg`, 'shake', 'occlusion'],
    ['group-9-occlusion', `${GROUP}/linzaer_9.jpg`, 'pan', 'occlusion'],
    ['parade-20-blur', `${WIDER}/0_Parade_marchingband_1_20.jpg`, 'shake', 'motion-blur'],
    ['group-16-blur', `${GROUP}/linzaer_16.jpg`, 'pan', 'motion-blur'],
    ['parade-37-light', `${WIDER}/0_Parade_marchingband_1_37.jpg`, 'zoom', 'light'],
    ['stock-2-light', `${GROUP}/vladmandic_stock-group-2.jpg`, 'pan', 'light'],
  ]),
  ...heldOut([
    ['parade-25-pan', `${WIDER}/0_Parade_marchingband_1_25.jpg`, 'pan'],
    ['crowd-11-pan', `${CROWD}/linzaer_11.jpg`, 'pan'],
    ['parade-488-zoom', `${WIDER}/0_Parade_marchingband_1_488.jpg`, 'zoom'],
    ['crowd-15-zoom', `${CROWD}/linzaer_15.jpg`, 'zoom'],
    ['parade-629-shake', `${WIDER}/0_Parade_marchingband_1_629.jpg`, 'shake'],
    ['solvay-shake', `${CROWD}/vladmandic_solvay1927.jpg`, 'shake'],
    ['group-728-cut', `${WIDER}/12_Group_Group_12_Group_Group_12_728.jpg`, 'cut'],
    ['group-3-cut', `${GROUP}/linzaer_3.jpg`, 'cut'],
    ['parade-25-occlusion', `${WIDER}/0_Parade_marchingband_1_25.jpg`, 'shake', 'occlusion'],
    ['group-728-occlusion', `${WIDER}/12_Group_Group_12_Group_Group_12_728.jpg`, 'pan', 'occlusion'],
    ['crowd-15-blur', `${CROWD}/linzaer_15.jpg`, 'shake', 'motion-blur'],
    ['group-4-blur', `${GROUP}/vladmandic_group-4.jpg`, 'pan', 'motion-blur'],
    ['crowd-4-light', `${CROWD}/linzaer_img4.jpeg`, 'zoom', 'light'],
    ['group-728-light', `${WIDER}/12_Group_Group_12_Group_Group_12_728.jpg`, 'shake', 'light'],
  ]),
];

type Recipe = [name: string, photo: string, motion: Motion, effect?: Effect];

function effects(recipes: readonly Recipe[]): SuiteClip[] {
  return recipes.map(([name, photo, motion, effect]) => ({ name, photo, motion, seed: 3, ...(effect && { effect }) }));
}

function heldOut(recipes: readonly Recipe[]): SuiteClip[] {
  return effects(recipes).map((clip) => ({ ...clip, isHeldOut: true }));
}

/** One photo or clip of the testdata: what benches read of it. */
export interface ManifestEntry {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly subkind?: string;
  readonly boxes?: readonly Box[];
  /** Where the boxes come from: an annotation of the photo's own, or a detector. */
  readonly boxes_source?: string;
  /** Indices of boxes that no detector is asked to find. */
  readonly ignore?: readonly number[];
}

export function readManifest(): ManifestEntry[] {
  return JSON.parse(readFileSync(join(TESTDATA_FOLDER, 'manifest.json'), 'utf8')) as ManifestEntry[];
}

/**
 * The official face boxes of a photo.
 * @param photo path below `TESTDATA_FOLDER`
 * @throws Error where the manifest has no boxes for it
 */
export function photoBoxes(photo: string): readonly Box[] {
  const boxes = readManifest().find((entry) => entry.file === photo)?.boxes;
  if (!boxes) throw new Error(`manifest.json has no boxes for ${photo}`);
  return boxes;
}

/** Says whether the photos are there to make clips from. */
export function hasTestdata(): boolean {
  return existsSync(join(TESTDATA_FOLDER, 'manifest.json'));
}

/** Clips by their names, or `tuned`, `held-out` or `all` of them; those that are not held out where none is named. */
export function chooseClips(names: readonly string[]): SuiteClip[] {
  const sets: Readonly<Record<string, readonly SuiteClip[]>> = {
    all: SUITE,
    tuned: SUITE.filter(({ isHeldOut }) => !isHeldOut),
    'held-out': SUITE.filter(({ isHeldOut }) => isHeldOut),
  };
  const chosen = (names.length > 0 ? names : ['tuned']).map((name) => {
    const clips = sets[name] ?? SUITE.filter((clip) => clip.name === name);
    if (clips.length > 0) return clips;
    const known = [...Object.keys(sets), ...SUITE.map((clip) => clip.name)];
    throw new Error(`no clip is named ${name}; there are ${known.join(', ')}`);
  });
  return SUITE.filter((clip) => chosen.some((clips) => clips.includes(clip)));
}

/** Makes a clip of the suite (6 s, 1280x720, 30 a second), or finds it made. */
export function prepareClip(clip: SuiteClip): Promise<ReadyClip> {
  const { name, photo, motion, effect, seed } = clip;
  const boxes = photoBoxes(photo);
  return cachedClip(name, { photo: join(TESTDATA_FOLDER, photo), boxes, motion, seed, ...(effect && { effect }) });
}

/** Makes a clip, or finds it made: kept under a key of the photo's bytes and of every option. */
export async function cachedClip(name: string, options: Omit<MakeClipOptions, 'output' | 'truth'>): Promise<ReadyClip> {
  const { photo, ...recipe } = options;
  const bytes = typeof photo === 'string' ? readFileSync(photo) : photo;
  const key = createHash('sha256')
    .update(`${CLIP_VERSION} ${JSON.stringify(recipe)}`)
    .update(bytes)
    .digest('hex');
  const folder = join(OUT_FOLDER, 'clips');
  const file = join(folder, `${name}-${key.slice(0, 12)}.mp4`);
  const truthFile = join(folder, `${parse(file).name}.json`);
  if (!existsSync(truthFile) || !existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    // Under names of its own until it is whole: another process may be making the same clip.
    const [newFile, newTruth] = [`${file}.${process.pid}.mp4`, `${truthFile}.${process.pid}.json`];
    await makeClip({ ...options, output: newFile, truth: newTruth });
    renameSync(newFile, file);
    renameSync(newTruth, truthFile);
  }
  const truth: Truth = JSON.parse(readFileSync(truthFile, 'utf8'));
  return { name, motion: options.motion ?? 'pan', file, truthFile, truth, seconds: truth.frames.length / truth.fps };
}
