// The entry point of the process that loads one model to see what it costs.
import { readFileSync } from 'node:fs';
import { AV_PIX_FMT_YUV420P, Frame } from 'node-av';
import type { ModelEntry, ModelKind } from '../../models/manifest.ts';
import { resolveModelOf } from '../../models/resolve.ts';
import { InferenceError } from '../errors.ts';
import type { ModelCost, ModelCostReply, ModelCostRequest } from './model-cost.ts';
import { openDetector } from './open-detector.ts';
import { ModelSession } from './session.ts';
import { fileTuning } from './tuning.ts';

const PICTURE = { width: 1280, height: 720 };
const GREY = 128;
const RUNS = 9;

/** A model that is loaded. */
interface Loaded {
  run(): Promise<unknown>;
  close(): Promise<void>;
}

process.once('disconnect', () => process.exit(1));
process.once('message', (request: ModelCostRequest) => {
  measure(request).then(
    (cost) => tell({ cost }),
    (error: unknown) => tell({ failed: error instanceof Error ? error.message : String(error) }),
  );
});

async function measure({ kind, name, models }: ModelCostRequest): Promise<ModelCost> {
  const { entry, bytes } = await resolveModelOf(kind, name, { ...models, allowDownload: false });
  const before = memoryBytes();
  const started = performance.now();
  const model = await (entry.kind === 'detector' ? loadDetector(entry, bytes) : loadOfFaces(entry, bytes));
  const loadMs = performance.now() - started;
  const took: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const ranAt = performance.now();
    await model.run();
    took.push(performance.now() - ranAt);
  }
  const cost = { memoryBytes: memoryBytes() - before, loadMs, runMs: took.sort((a, b) => a - b)[RUNS >> 1]! };
  await model.close();
  return cost;
}

async function loadDetector(entry: ModelEntry, bytes: Uint8Array): Promise<Loaded> {
  const detector = await openDetector(entry, bytes, 1);
  const picture = greyPicture();
  const { inputPx } = fileTuning(entry);
  return { run: () => detector.detect(picture, inputPx, 1), close: () => detector.close() };
}

async function loadOfFaces(entry: ModelEntry<Exclude<ModelKind, 'detector'>>, bytes: Uint8Array): Promise<Loaded> {
  const session = await ModelSession.open(entry.name, bytes, 1);
  const { layout, size } = entry.input;
  const dims = layout === 'NCHW' ? [1, 3, size.height, size.width] : [1, size.height, size.width, 3];
  const face = new Float32Array(new SharedArrayBuffer(4 * 3 * size.width * size.height));
  return { run: () => session.run(face, dims, []), close: () => session.close() };
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
