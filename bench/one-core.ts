// Frames a second on one core at 1280×720 with detection on every frame: the engine against the loop it began as.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cachedClip, photoBoxes, TESTDATA_FOLDER } from './clips.ts';
import { report } from './report.ts';
import { median, percentile, rounded } from './statistics.ts';

const PHOTO = 'detect/group/linzaer_16.jpg';
const VARIANTS = ['engine', 'spike'] as const;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const clip = await cachedClip('bench-10s', {
  photo: join(TESTDATA_FOLDER, PHOTO),
  boxes: photoBoxes(PHOTO),
  seconds: 10,
});
const worker = join(import.meta.dirname, 'one-core-worker.ts');
const fps: Record<(typeof VARIANTS)[number], number[]> = { engine: [], spike: [] };
for (let round = 0; round < Number(values.rounds); round++) {
  for (const variant of round % 2 === 0 ? VARIANTS : VARIANTS.toReversed()) {
    const printed = execFileSync('taskset', ['-c', '0', process.execPath, worker, variant, clip.file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const { frames, ms }: { frames: number; ms: number } = JSON.parse(printed);
    fps[variant].push((1000 * frames) / ms);
    console.error(`round ${round + 1}: ${variant} ${fps[variant].at(-1)!.toFixed(1)} frames/s`);
  }
}
const rows = VARIANTS.map((variant) => ({
  variant,
  rounds: fps[variant].length,
  'frames/s': rounded(median(fps[variant]), 1),
  'slowest 1 %': rounded(percentile(fps[variant], 1), 1),
}));
report('one-core', rows, { fps });
console.log(
  `the engine runs at ${rounded((median(fps.engine) ?? 0) / (median(fps.spike) ?? 1), 2)} x the loop's speed`,
);
