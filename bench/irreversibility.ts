import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { faceRegion } from '../inference/blur/region.ts';
import { BLUR_STYLES, type BlurPolicy, makePolicy } from '../inference/policy.ts';
import type { Box } from './clip-motion.ts';
import { hasTestdata, TESTDATA_FOLDER } from './clips.ts';
import { coverLeaks, type FaceLeak } from './cover-leak.ts';
import { type FacedPhoto, type FaceSample, faceSamples, readFacedPhoto } from './face-samples.ts';
import { type Row, report } from './report.ts';
import { percentile, rounded } from './statistics.ts';

const WIDTHS_PX = [40, 64, 96, 128, 192];
const STRENGTHS = [0, 0.5, 1];
/** Of each size: more tell the same and take longer. */
const MAX_FACES = 40;

interface ManifestEntry {
  readonly file: string;
  readonly kind: string;
  readonly boxes?: readonly Box[];
  readonly ignore?: readonly number[];
}

async function readPhotos(): Promise<FacedPhoto[]> {
  const manifest: ManifestEntry[] = JSON.parse(readFileSync(join(TESTDATA_FOLDER, 'manifest.json'), 'utf8'));
  const photos: FacedPhoto[] = [];
  for (const { file, kind, boxes = [], ignore = [] } of manifest) {
    const large = boxes.filter(([, , w, h], index) => Math.min(w, h) >= WIDTHS_PX[0]! && !ignore.includes(index));
    if (kind === 'detect' && large.length > 0) photos.push(await readFacedPhoto(join(TESTDATA_FOLDER, file), large));
  }
  return photos;
}

async function samplesOf(photos: readonly FacedPhoto[], widthPx: number): Promise<FaceSample[]> {
  const samples: FaceSample[] = [];
  for (const photo of photos) samples.push(...(await faceSamples(photo, widthPx)));
  const step = Math.max(1, samples.length / MAX_FACES);
  return samples.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}

function row(style: string, strength: number, widthPx: number, leaks: readonly FaceLeak[]): Row {
  const figure = (values: number[], part?: number) =>
    rounded(part === undefined ? values.reduce((a, b) => a + b, 0) / values.length : percentile(values, part), 2);
  const frame = leaks.map(({ correlation }) => correlation);
  const attacked = leaks.map(({ attacked: value }) => value);
  return {
    style,
    strength,
    'face px': widthPx,
    faces: leaks.length,
    mean: figure(frame),
    p95: figure(frame, 95),
    max: figure(frame, 100),
    'attacked mean': figure(attacked),
    'attacked p95': figure(attacked, 95),
    'attacked max': figure(attacked, 100),
    'chance p95': figure(
      leaks.map(({ chance }) => chance),
      95,
    ),
    'coarse mean': figure(leaks.map(({ coarse }) => coarse)),
    legible: leaks.filter(({ legible }) => legible).length,
    'legible mean of 49': leaks.filter(({ legibleMean }) => legibleMean).length,
  };
}

function leaksOf(samples: readonly FaceSample[], policy: BlurPolicy): FaceLeak[] {
  return coverLeaks(samples, (face) => faceRegion(face, policy));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { styles: { type: 'string', default: BLUR_STYLES.join(',') } } });
  if (!hasTestdata()) throw new Error(`no photos in ${TESTDATA_FOLDER}`);
  const styles = BLUR_STYLES.filter((style) => values.styles.split(',').includes(style));
  const photos = await readPhotos();
  const rows: Row[] = [];
  for (const widthPx of WIDTHS_PX) {
    const samples = await samplesOf(photos, widthPx);
    for (const style of styles) {
      for (const strength of style === 'solid' ? [0] : STRENGTHS) {
        rows.push(row(style, strength, widthPx, leaksOf(samples, makePolicy({ style, strength }))));
      }
    }
  }
  report('irreversibility', rows, { rows });
}

await main();
