import type { Detector } from './detect/detector.ts';
import type { FileTuning } from './detect/tuning.ts';
import type { InspectorOptions } from './inspector.ts';
import type { InputFile } from './media/input-file.ts';
import { pictureBytes, type VideoFrame } from './media/video-frame.ts';

/** How far a face found late is covered backwards, and how long one out of sight stays covered. */
const WINDOW_SECONDS = 2;
const LOST_SECONDS = 1;
/** A face of the report has ended once nothing was covered of it for so long. */
export const TRACK_LIFE_SECONDS = WINDOW_SECONDS + LOST_SECONDS;
/** The window never holds more pictures than fit here. */
const WINDOW_BYTES = 160 * 2 ** 20;
const DEFAULT_FPS = 30;
/** A header that names fewer or more frames a second than these is not believed. */
const MIN_FPS = 0.01;
const MAX_FPS = 1000;
/** Between two pictures further apart anything may have happened: both are looked at. Seconds. */
const MAX_UNSEEN_SECONDS = 0.5;
/** So many pictures apart are two looks at most, whatever rate a header names; where none is believed, all are seen. */
const MAX_DETECT_EVERY_FRAMES = 20;

/** A file's frames a second. */
export interface FrameRate {
  /** Null where the file says none or none that can be. */
  readonly said: number | null;
  /** What time is counted by. */
  readonly fps: number;
}

export function frameRateOf(input: InputFile): FrameRate {
  const { num, den } = input.video.avgFrameRate;
  const fps = num > 0 && den > 0 ? num / den : 0;
  const said = fps >= MIN_FPS && fps <= MAX_FPS ? fps : null;
  return { said, fps: said ?? DEFAULT_FPS };
}

/** How the pictures of a file like one of them are inspected. */
export function fileInspection(
  detector: Detector,
  tuning: FileTuning,
  { said, fps }: FrameRate,
  like: VideoFrame,
): InspectorOptions {
  const fits = Math.floor(WINDOW_BYTES / pictureBytes(like));
  const everyFrames = said === null ? 1 : Math.max(1, Math.round(fps * tuning.detectEverySeconds));
  const detectEveryFrames = Math.min(MAX_DETECT_EVERY_FRAMES, everyFrames);
  return {
    detector,
    detectEveryFrames,
    looksBeside: true,
    inputPx: tuning.inputPx,
    sharpEveryFrames: tuning.sharpEverySeconds > 0 ? Math.max(1, Math.round(fps * tuning.sharpEverySeconds)) : 0,
    sharpInputPx: tuning.sharpInputPx,
    sharpTiles: tuning.sharpTiles,
    turnEveryFrames: Math.round(fps * tuning.turnEverySeconds),
    minScore: tuning.minScore,
    windowFrames: Math.max(detectEveryFrames, Math.min(windowFrames(fps), fits)),
    tracker: { ...tuning.tracker, maxLostFrames: Math.ceil(fps * LOST_SECONDS) },
  };
}

/** How long the window is where it need not hold pictures. */
export function windowFrames(fps: number): number {
  return Math.round(fps * WINDOW_SECONDS);
}

/** Whether nothing of one picture says what is in the next. */
export function isFarFrom(previousPts: bigint, { picture }: VideoFrame, { video }: InputFile): boolean {
  const { num, den } = video.timeBase;
  return Number(picture.pts - previousPts) * num > MAX_UNSEEN_SECONDS * den;
}
