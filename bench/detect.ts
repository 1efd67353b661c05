// Recall and precision by size of face, for every detector of the manifest, on photos whose boxes no detector proposed.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AV_LOG_ERROR, Log } from 'node-av';
import type { Detector } from '../inference/detect/detector.ts';
import { Looks } from '../inference/detect/looks.ts';
import { openDetector } from '../inference/detect/open-detector.ts';
import { type FileTuning, fileTuning } from '../inference/detect/tuning.ts';
import type { Detection } from '../inference/track/box.ts';
import { defaultModelLocations } from '../models/locations.ts';
import { loadManifest, type ModelEntry } from '../models/manifest.ts';
import { resolveModel } from '../models/resolve.ts';
import { type ManifestEntry, readManifest, TESTDATA_FOLDER } from './clips.ts';
import { SIZE_CLASSES, SizeTally } from './detect-tally.ts';
import { photoFrame, readPhoto } from './photo-planes.ts';
import { type Row, report } from './report.ts';
import { rounded } from './statistics.ts';

/** One way to use a detector. */
interface Setting {
  readonly name: string;
  find(detector: Detector, tuning: FileTuning, photo: Parameters<Detector['detect']>[0]): Promise<Detection[]>;
}

/** Bare: one look at a size, nothing else. 320 is what YuNet's own samples use. */
const bare = (inputPx: number): Setting => ({
  name: `bare ${inputPx}`,
  find: (detector, { minScore }, photo) => detector.detect(photo, inputPx, minScore),
});

/** What a file's scene begins with: a sharp look and one at each side, put together. */
const FILE: Setting = {
  name: 'first look of a file',
  async find(detector, tuning, photo) {
    const looks = new Looks(detector, {
      ...tuning,
      sharpEveryFrames: tuning.sharpEverySeconds > 0 ? 1 : 0,
      turnEveryFrames: tuning.turnEverySeconds > 0 ? 1 : 0,
    });
    try {
      return await looks.look(0, photo);
    } finally {
      looks.close();
    }
  },
};

/** Any size, for models that take any; those of a fixed size have one. */
function settingsOf({ input }: ModelEntry): Setting[] {
  const sizes = 'multipleOf' in input.size ? [320, 640, 960, 1280] : [input.size.width];
  return [...sizes.map(bare), FILE];
}

/** Photos with official boxes. Those of `mask400` were chosen by agreement with YuNet and so are kind to it. */
function photosOf(set: string): ManifestEntry[] {
  const folder = set === 'wider' ? 'detect/wider_full/' : 'detect/mask400/';
  return readManifest().filter(({ file, boxes, boxes_source = '' }) => {
    return file.startsWith(folder) && boxes !== undefined && !boxes_source.startsWith('machine-proposed');
  });
}

async function measure(
  detector: Detector,
  entry: ModelEntry,
  setting: Setting,
  photos: readonly ManifestEntry[],
  minScore: number,
): Promise<{ tally: SizeTally; ms: number }> {
  const tally = new SizeTally();
  let ms = 0;
  for (const { file, boxes = [], ignore = [] } of photos) {
    const picture = photoFrame(await readPhoto(join(TESTDATA_FOLDER, file)));
    try {
      const started = performance.now();
      const found = await setting.find(detector, fileTuning(entry), picture);
      ms += performance.now() - started;
      tally.add(
        found.filter(({ score }) => score >= minScore),
        boxes.map(([x, y, w, h], i) => ({ x, y, w, h, isIgnored: ignore.includes(i) })),
      );
    } finally {
      picture.free();
    }
  }
  return { tally, ms: ms / photos.length };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sets: { type: 'string', default: 'wider,mask400' },
      models: { type: 'string', default: '' },
      'min-score': { type: 'string', default: '0.3' },
    },
  });
  Log.setLevel(AV_LOG_ERROR);
  const minScore = Number(values['min-score']);
  const wanted = values.models.split(',').filter(Boolean);
  const rows: Row[] = [];
  for (const entry of loadManifest()) {
    if (entry.kind !== 'detector' || (wanted.length > 0 && !wanted.includes(entry.name))) continue;
    const resolved = await resolveModel(entry.name, defaultModelLocations(process.env)).catch((error: Error) => {
      console.error(`${entry.name} is left out: ${error.message}`);
      return null;
    });
    if (!resolved) continue;
    const detector = await openDetector(entry, resolved.bytes, 1);
    for (const set of values.sets.split(',')) {
      const photos = photosOf(set);
      for (const setting of settingsOf(entry)) {
        const { tally, ms } = await measure(detector, entry, setting, photos, minScore);
        const row: Row = { detector: entry.name, photos: set, setting: setting.name, ms: rounded(ms, 0) };
        for (const { name } of SIZE_CLASSES) {
          const { faces, recall, precision } = tally.of(name);
          row[`${name} (${faces})`] =
            faces + (precision ?? 0) === 0 ? null : `${percent(recall)} / ${percent(precision)}`;
        }
        const all = tally.of('all');
        row[`all (${all.faces})`] = `${percent(all.recall)} / ${percent(all.precision)}`;
        rows.push(row);
        console.error(Object.values(row).join('  '));
      }
    }
    await detector.close();
  }
  for (const set of values.sets.split(',')) {
    report(
      `detect-${set}`,
      rows.filter(({ photos }) => photos === set),
      { minScore, rows },
    );
  }
}

const percent = (part: number | null) => (part === null ? '-' : (100 * part).toFixed(0));

await main();
