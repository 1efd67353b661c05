// The entry point of the process that loads one detector to see what it costs.
import { readFileSync } from 'node:fs';
import { AV_PIX_FMT_YUV420P, Frame } from 'node-av';
import type { ModelLocations } from '../../models/locations.ts';
import { resolveModel } from '../../models/resolve.ts';
import { InferenceError } from '../errors.ts';
import type { ModelCost, ModelCostReply } from './model-cost.ts';
import { openDetector } from './open-detector.ts';
import { fileTuning } from './tuning.ts';

const PICTURE = { width: 1280, height: 720 };
const GREY = 128;
const LOOKS = 9;

process.once('disconnect', () => process.exit(1));
process.once('message', ({ name, models }: { name: string; models: ModelLocations }) => {
  measure(name, models).then(
    (cost) => tell({ cost }),
    (error: unknown) => tell({ failed: error instanceof Error ? error.message : String(error) }),
  );
});

async function measure(name: string, models: ModelLocations): Promise<ModelCost> {
  const { entry, bytes } = await resolveModel(name, { ...models, allowDownload: false });
  const picture = greyPicture();
  const before = memoryBytes();
  const started = performance.now();
  const detector = await openDetector(entry, bytes, 1);
  const loadMs = performance.now() - started;
  const took: number[] = [];
  const { inputPx } = fileTuning(entry);
  for (let i = 0; i < LOOKS; i++) {
    const lookedAt = performance.now();
    await detector.detect(picture, inputPx, 1);
    took.push(performance.now() - lookedAt);
  }
  const cost = { memoryBytes: memoryBytes() - before, loadMs, lookMs: took.sort((a, b) => a - b)[LOOKS >> 1]! };
  picture.free();
  await detector.close();
  return cost;
}

function greyPicture(): Frame {
  const picture = new Frame();
  picture.alloc();
  Object.assign(picture, { ...PICTURE, format: AV_PIX_FMT_YUV420P });
  if (picture.getBuffer() < 0) throw new InferenceError('run-failed', 'no memory for a picture');
  for (const plane of picture.data ?? []) plane.fill(GREY);
  return picture;
}

/** PSS: shared pages count by the share of those who use them. @see proc(5), smaps_rollup */
function memoryBytes(): number {
  try {
    const kib = /^Pss:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1];
    if (kib) return Number(kib) * 1024;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return process.memoryUsage.rss();
}

function tell(reply: ModelCostReply): void {
  if (process.connected) process.send?.(reply);
}
