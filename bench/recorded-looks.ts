import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { Detector } from '../inference/detect/detector.ts';
import { FrameSource } from '../inference/frame-source.ts';
import { InputFile } from '../inference/media/input-file.ts';
import { VideoDecoder } from '../inference/media/video-decoder.ts';
import { closeFrame } from '../inference/media/video-frame.ts';
import type { Detection } from '../inference/track/box.ts';
import { type SceneChange, SceneWatch } from '../inference/track/scene.ts';
import { OUT_FOLDER } from './clips.ts';

/** Goes up with what changes the recordings: the detector, what watches the scene, or the looks below. */
const VERSION = 1;
/** At every frame, and at every so many-th frame as well. */
const PLAIN_PX = 640;
export const SHARP_PX = [960, 1280] as const;
export const SHARP_EVERY_FRAMES = 5;
/** Longer clips are recorded up to here. */
const MAX_FRAMES = 600;
const MIN_SCORE = 0.1;

type RecordedBox = readonly [x: number, y: number, w: number, h: number, score: number];

export interface RecordedFrame extends SceneChange {
  /** What looks of these sizes (longer side, pixels) saw. */
  readonly looks: Readonly<Record<number, readonly RecordedBox[]>>;
}

/** What a tracker would be told about a clip, whatever its rules are. */
export interface Recording {
  readonly width: number;
  readonly height: number;
  readonly frames: readonly RecordedFrame[];
}

export function detectionsOf(frame: RecordedFrame, px: number): Detection[] {
  return (frame.looks[px] ?? []).map(([x, y, w, h, score]) => ({ x, y, w, h, score }));
}

/** Looks at a clip in all sizes, or finds that done. */
export async function recordLooks(file: string, detector: Detector): Promise<Recording> {
  const folder = join(OUT_FOLDER, 'looks');
  const kept = join(folder, `${parse(file).name}-${detector.name}-${VERSION}.json`);
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, 'utf8')) as Recording;
  await using open = new AsyncDisposableStack();
  const input = open.adopt(await InputFile.open(file), (i) => i.close());
  const decoder = open.adopt(await VideoDecoder.open(input.video, input.displayMatrix, 1), (d) => d.close());
  const source = open.adopt(new FrameSource(input, decoder, async (packet) => packet.free()), (s) => s.close());
  const scene = open.adopt(new SceneWatch(), (s) => s.close());
  const frames: RecordedFrame[] = [];
  let size = { width: 0, height: 0 };
  for (let frame = await source.next(); frame && frames.length < MAX_FRAMES; frame = await source.next()) {
    const { picture, index } = frame;
    size = { width: picture.width, height: picture.height };
    const looks: Record<number, RecordedBox[]> = {};
    for (const px of [PLAIN_PX, ...(index % SHARP_EVERY_FRAMES === 0 ? SHARP_PX : [])]) {
      const found = await detector.detect(picture, px, MIN_SCORE);
      looks[px] = found.map(({ x, y, w, h, score }) => [x, y, w, h, score].map((v) => Number(v.toFixed(3)))) as never;
    }
    frames.push({ ...scene.observe(picture), looks });
    closeFrame(frame);
  }
  const recording = { ...size, frames };
  mkdirSync(folder, { recursive: true });
  writeFileSync(kept, JSON.stringify(recording));
  return recording;
}
