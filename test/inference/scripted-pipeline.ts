import type { Frame } from 'node-av';
import type { Detector } from '../../inference/detect/detector.ts';
import { closeFrame, type VideoFrame } from '../../inference/media/video-frame.ts';
import { BlurPipeline, type PipelineOptions, type RedactedPicture } from '../../inference/pipeline.ts';
import { makePolicy } from '../../inference/policy.ts';
import type { Detection } from '../../inference/track/box.ts';
import { lumaOf, makePicture, makeVideoFrame, texture } from '../clips/picture.ts';
import { TRACKER } from './synthetic-tracks.ts';

export const [WIDTH, HEIGHT] = [64, 48] as const;
export const DETECT_EVERY_FRAMES = 3;
export const WINDOW_FRAMES = 6;

/** Answers for a frame what the test says; throwing is an answer. */
export type Script = (frame: number) => Detection[] | Promise<Detection[]>;

/** A detector that does as it is told and notes which frames it was asked about, and which it answered. */
export class ScriptedDetector implements Detector {
  readonly name = 'scripted';
  readonly asked: number[] = [];
  readonly answered: number[] = [];
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  async detect(picture: Frame): Promise<Detection[]> {
    const frame = Number(picture.pts);
    this.asked.push(frame);
    const found = await this.#script(frame);
    this.answered.push(frame);
    return found;
  }

  async close(): Promise<void> {}
}

/** What left the pipeline for one frame. */
export interface Left {
  readonly index: number;
  readonly whole: boolean;
  readonly covers: RedactedPicture['covers'];
  /** What its pixels say, whatever `whole` says. */
  readonly pixels: 'covered whole' | 'untouched' | 'partly covered';
  /** The luma of one pixel has changed. */
  changedAt(x: number, y: number): boolean;
}

export interface Run {
  readonly left: readonly Left[];
  readonly detector: ScriptedDetector;
  readonly pipeline: BlurPipeline;
  /** Frames that were handed in and not given back when the pipeline was closed. */
  readonly kept: number;
}

export interface RunOptions extends Partial<PipelineOptions> {
  /** The scene that a frame shows; each number is another picture. Default: all the same. */
  readonly sceneOf?: (frame: number) => number;
  /** Frames that the decoder said were damaged. */
  readonly broken?: ReadonlySet<number>;
  /** Called before each frame goes in. */
  readonly beforeFrame?: (frame: number, pipeline: BlurPipeline) => void | Promise<void>;
  /** Whether all frames are asked for at the end; default true. */
  readonly flushed?: boolean;
}

const SCENES = new Map<number, ReturnType<typeof texture>>();

function scene(id: number): ReturnType<typeof texture> {
  const known = SCENES.get(id) ?? texture(id);
  SCENES.set(id, known);
  return known;
}

/** Sends so many frames through a pipeline, flushes it and closes it. */
export async function runPipeline(frames: number, script: Script, options: RunOptions = {}): Promise<Run> {
  const { sceneOf = () => 1, broken = new Set(), flushed = true, beforeFrame, ...overrides } = options;
  const detector = new ScriptedDetector(script);
  const pipeline = new BlurPipeline({
    detector,
    policy: makePolicy(),
    windowFrames: WINDOW_FRAMES,
    detectEveryFrames: DETECT_EVERY_FRAMES,
    inputPx: 64,
    sharpEveryFrames: 0,
    sharpInputPx: 64,
    minScore: 0.1,
    tracker: TRACKER,
    ...overrides,
  });
  const sources = new Map<number, Uint8Array>();
  const left: Left[] = [];
  let out = 0;
  const take = (pictures: readonly RedactedPicture[]) => {
    for (const picture of pictures) {
      left.push(look(picture, sources.get(picture.frame.index)!));
      closeFrame(picture.frame);
    }
  };
  try {
    for (let index = 0; index < frames; index++) {
      await beforeFrame?.(index, pipeline);
      const picture = makePicture(WIDTH, HEIGHT, scene(sceneOf(index)));
      sources.set(index, lumaOf(picture));
      out++;
      take(await pipeline.push(lent(makeVideoFrame(index, picture, broken.has(index)), () => out--)));
    }
    if (flushed) for await (const picture of pipeline.flush()) take([picture]);
  } finally {
    await pipeline.close();
  }
  return { left, detector, pipeline, kept: out };
}

function lent(frame: VideoFrame, onBack: () => void): VideoFrame {
  return {
    ...frame,
    giveBack() {
      frame.picture.free();
      onBack();
    },
  };
}

function look({ frame, covers, whole }: RedactedPicture, source: Uint8Array): Left {
  const luma = lumaOf(frame.picture);
  const changedAt = (x: number, y: number) => luma[y * WIDTH + x] !== source[y * WIDTH + x];
  let changed = 0;
  for (let i = 0; i < luma.length; i++) if (luma[i] !== source[i]) changed++;
  const pixels = changed === 0 ? 'untouched' : isCoveredWhole(luma) ? 'covered whole' : 'partly covered';
  return { index: frame.index, whole, covers, pixels, changedAt };
}

/** Cells of a third of the longer side make three changes of value across at most; a picture that shows makes dozens. */
const MAX_CHANGES_ACROSS = 3;

function isCoveredWhole(luma: Uint8Array): boolean {
  for (let y = 0; y < HEIGHT; y++) {
    let changes = 0;
    for (let x = 1; x < WIDTH; x++) if (luma[y * WIDTH + x] !== luma[y * WIDTH + x - 1]) changes++;
    if (changes > MAX_CHANGES_ACROSS) return false;
  }
  return true;
}
