import { blurRegions, coverWhole } from './blur/blur-regions.ts';
import { faceRegion } from './blur/mosaic.ts';
import { PicturePool } from './blur/picture-pool.ts';
import type { Redacted } from './blur/redacted.ts';
import type { Detector } from './detect/detector.ts';
import { InferenceError } from './errors.ts';
import { closeFrame, type VideoFrame } from './media/video-frame.ts';
import type { BlurPolicy } from './policy.ts';
import { type Detection, misses } from './track/box.ts';
import { CameraPath } from './track/camera-path.ts';
import { type Cover, coversAt } from './track/coverage.ts';
import { type SceneChange, SceneWatch } from './track/scene.ts';
import { Tracker, type TrackerOptions } from './track/tracker.ts';

export interface PipelineOptions {
  readonly detector: Detector;
  readonly policy: BlurPolicy;
  /** Frames held back, so that a face found later is covered from before it was found. 0 holds none. */
  readonly windowFrames: number;
  /** Detection runs on every so many-th frame; the window must reach from one to the next. */
  readonly detectEveryFrames: number;
  /** The longer side of the picture as the detector sees it. */
  readonly inputPx: number;
  /** Every so many-th frame is looked at in `sharpInputPx` instead, for the small faces. 0 for never. */
  readonly sharpEveryFrames: number;
  readonly sharpInputPx: number;
  readonly minScore: number;
  readonly tracker: TrackerOptions;
}

/** A picture that may leave, with what was covered in it. */
export interface RedactedPicture {
  readonly frame: Redacted<VideoFrame>;
  readonly covers: readonly Cover[];
  /** It was covered whole because something failed. */
  readonly whole: boolean;
}

/** What is known of a frame: only the first two may leave with single faces covered. */
type Inspection = 'detected' | 'bracketed' | 'pending' | 'failed';

interface Held {
  readonly frame: VideoFrame;
  inspection: Inspection;
}

/**
 * Detect, track, policy, blur: frames go in as they were decoded and come out redacted, in order, `windowFrames`
 * later. A frame is inspected when the detector ran on it or on frames of its scene on both sides of it; one that is
 * not, or on which any step failed, leaves covered whole.
 */
export class BlurPipeline {
  readonly #options: PipelineOptions;
  readonly #scene = new SceneWatch();
  readonly #camera = new CameraPath();
  readonly #tracker: Tracker;
  readonly #held: Held[] = [];
  readonly #pool = new PicturePool();
  #lastDetected = Number.NEGATIVE_INFINITY;
  #lastSharp = Number.NEGATIVE_INFINITY;
  #mustDetect = true;
  #failures = 0;
  #lastFailure: unknown;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#tracker = new Tracker(options.tracker, this.#camera);
  }

  /** How many times detection or tracking failed, and the last reason. */
  get failures(): { readonly count: number; readonly last: unknown } {
    return { count: this.#failures, last: this.#lastFailure };
  }

  /**
   * Takes a frame over, looks at it, and gives back those that are ready; each is the caller's.
   * Frames must be numbered without gaps.
   */
  async push(frame: VideoFrame): Promise<RedactedPicture[]> {
    const { windowFrames, detectEveryFrames } = this.#options;
    const held: Held = { frame, inspection: 'pending' };
    const change = this.#watch(held);
    if (!change || change.cut) {
      // Nothing of a new scene, or of a frame that can't be read, says what was in the frames before it.
      await this.#detectLastPending();
      this.#mustDetect = true;
    }
    if (change?.cut) this.#tracker.cut(frame.index);
    this.#held.push(held);
    this.#camera.add(frame.index, change?.dx ?? 0, change?.dy ?? 0);
    if (this.#mustDetect || frame.index - this.#lastDetected >= detectEveryFrames || windowFrames === 0) {
      await this.#detect(held);
    }
    return this.#releaseReady();
  }

  /** Gives back all that is held, once no frame follows: one by one, so that no second window of copies is needed. */
  async *flush(): AsyncGenerator<RedactedPicture> {
    await this.#detectLastPending();
    while (this.#held.length > 0) yield this.#release();
  }

  /** Frees what is held. The detector is its maker's to close. */
  close(): void {
    for (const { frame } of this.#held.splice(0)) closeFrame(frame);
    this.#pool.close();
    this.#scene.close();
  }

  /** @returns what changed since the last frame, or null when this one is damaged or can't be looked at */
  #watch(held: Held): SceneChange | null {
    try {
      if (!held.frame.broken) return this.#scene.observe(held.frame.picture);
      held.inspection = 'failed';
    } catch (error) {
      this.#fail(held, error);
    }
    return null;
  }

  /** Looks at the latest frame that waits for its later side, because that will not come. */
  async #detectLastPending(): Promise<void> {
    const last = this.#held.findLast(({ inspection }) => inspection === 'pending');
    if (last) await this.#detect(last);
  }

  async #detect(held: Held): Promise<void> {
    if (held.inspection === 'failed') return;
    const { detector, inputPx, sharpEveryFrames, sharpInputPx, minScore } = this.#options;
    const { index, picture } = held.frame;
    const sharp = sharpEveryFrames > 0 && (this.#mustDetect || index - this.#lastSharp >= sharpEveryFrames);
    try {
      const found = await detector.detect(picture, sharp ? sharpInputPx : inputPx, minScore);
      if (!found.every(isFace)) throw new InferenceError('run-failed', `${detector.name} gave a box that is none`);
      this.#tracker.update(index, found);
    } catch (error) {
      this.#fail(held, error);
      // Nobody saw this frame, so nobody knows about those before it that wait for their later side, either.
      for (const earlier of this.#held) {
        if (earlier.inspection === 'pending' && earlier.frame.index < index) earlier.inspection = 'failed';
      }
      return;
    }
    this.#lastDetected = index;
    if (sharp) this.#lastSharp = index;
    this.#mustDetect = false;
    held.inspection = 'detected';
    for (const earlier of this.#held) {
      if (earlier.inspection === 'pending' && earlier.frame.index < index) earlier.inspection = 'bracketed';
    }
  }

  #fail(held: Held, error: unknown): void {
    this.#failures++;
    this.#lastFailure = error;
    this.#mustDetect = true;
    held.inspection = 'failed';
  }

  #releaseReady(): RedactedPicture[] {
    const ready: RedactedPicture[] = [];
    while (this.#held.length > this.#options.windowFrames) ready.push(this.#release());
    return ready;
  }

  #release(): RedactedPicture {
    const { frame, inspection } = this.#held.shift()!;
    const inspected = inspection === 'detected' || inspection === 'bracketed';
    if (!inspected || frame.broken) return { frame: coverWhole(frame, this.#pool), covers: [], whole: true };
    const { policy, tracker, windowFrames } = this.#options;
    const { width, height } = frame.picture;
    const limits = { afterFrames: tracker.maxLostFrames, beforeFrames: windowFrames };
    let covers: Cover[];
    try {
      covers = this.#tracker
        .tracksFrom(frame.index)
        .flatMap((track) => coversAt(track, frame.index, this.#camera, limits))
        .filter(({ box }) => !misses(box, width, height));
      this.#camera.forgetBefore(frame.index - tracker.maxLostFrames);
      if (!covers.every(({ box }) => Number.isFinite(box.x + box.y + box.w + box.h))) {
        throw new InferenceError('run-failed', 'a face is nowhere: its box is not finite');
      }
    } catch (error) {
      this.#failures++;
      this.#lastFailure = error;
      return { frame: coverWhole(frame, this.#pool), covers: [], whole: true };
    }
    const regions = covers.map(({ box }) => faceRegion(box, policy.strength, policy.margin));
    return { frame: blurRegions(frame, regions, this.#pool), covers, whole: false };
  }
}

/** Rubbish from a model must not pass for "no face". */
function isFace({ x, y, w, h, score }: Detection): boolean {
  return Number.isFinite(x + y + w + h) && w > 0 && h > 0 && score >= 0 && score <= 1;
}
