import { blurRegions, coverWhole } from './blur/blur-regions.ts';
import { PicturePool } from './blur/picture-pool.ts';
import type { Redacted } from './blur/redacted.ts';
import { faceRegion } from './blur/region.ts';
import type { Detector } from './detect/detector.ts';
import { type LookOptions, Looks } from './detect/looks.ts';
import { InferenceError } from './errors.ts';
import { closeFrame, type VideoFrame } from './media/video-frame.ts';
import type { BlurPolicy } from './policy.ts';
import { type Detection, misses } from './track/box.ts';
import { CameraPath } from './track/camera-path.ts';
import { type Cover, coversAt } from './track/coverage.ts';
import { Pins } from './track/pins.ts';
import { type SceneChange, SceneWatch } from './track/scene.ts';
import { Tracker, type TrackerOptions } from './track/tracker.ts';

export interface PipelineOptions extends LookOptions {
  readonly detector: Detector;
  readonly policy: BlurPolicy;
  /** Frames held back, so that a face found later is covered from before it was found. 0 holds none. */
  readonly windowFrames: number;
  /** Detection runs on every so many-th frame; the window must reach from one to the next. */
  readonly detectEveryFrames: number;
  /** Frames go on coming in while the detector looks at one, until the next look: for files, where all cores should work. */
  readonly looksBeside?: boolean;
  readonly tracker: TrackerOptions;
  /** Shown each inspected picture as it was, with all its faces, right before they are covered; both borrowed. */
  readonly onInspected?: (picture: VideoFrame['picture'], faces: readonly Cover[]) => void;
}

/** What may be changed between two frames. */
export type PipelineChanges = Partial<Pick<PipelineOptions, 'policy' | 'windowFrames' | 'detectEveryFrames'>>;

/** A picture that may leave, with what was covered in it. */
export interface RedactedPicture {
  readonly frame: Redacted<VideoFrame>;
  readonly covers: readonly Cover[];
  /** Faces that someone asked to see, left as they are. */
  readonly shown: readonly Cover[];
  /** It was covered whole because something failed. */
  readonly whole: boolean;
  /** How it was inspected; null where it was not, and so was covered whole. */
  readonly inspection: 'detected' | 'bracketed' | null;
}

/** What is known of a frame: only the first two may leave with single faces covered. */
type Inspection = 'detected' | 'bracketed' | 'pending' | 'failed';

interface Held {
  readonly frame: VideoFrame;
  inspection: Inspection;
  /** What the detector will say, where it was asked ahead of its turn. */
  looking?: Promise<Detection[]>;
}

/**
 * Detect, track, policy, blur: frames go in as they were decoded and come out redacted, in order, `windowFrames`
 * later. A frame is inspected when the detector ran on it or on frames of its scene on both sides of it; one that is
 * not, or on which any step failed, leaves covered whole.
 */
export class BlurPipeline {
  #options: PipelineOptions;
  readonly #scene = new SceneWatch();
  readonly #camera = new CameraPath();
  readonly #looks: Looks;
  readonly #tracker: Tracker;
  readonly #held: Held[] = [];
  readonly #pool = new PicturePool();
  readonly #pins = new Pins();
  /** A frame that is being looked at while others come in. */
  #lookedAt: Held | undefined;
  #lastDetected = Number.NEGATIVE_INFINITY;
  #mustDetect = true;
  #failures = 0;
  #lastFailure: unknown;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#looks = new Looks(options.detector, options);
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
    const held: Held = { frame, inspection: 'pending' };
    if (this.#isDue(frame)) await this.#settle();
    // The model runs in a thread of its own: where it is clear that it must look and nothing stands before this frame,
    // the scene is watched meanwhile.
    if (!frame.broken && this.#isDue(frame) && !this.#lastPending)
      held.looking = this.#looks.look(frame.index, frame.picture);
    const change = this.#watch(held);
    if (!change || change.cut) {
      // Nothing of a new scene, or of a frame that can't be read, says what was in the frames before it.
      await this.#settle();
      await this.#detectLastPending();
      this.#mustDetect = true;
    }
    if (change?.cut) {
      this.#tracker.cut(frame.index);
      this.#looks.afresh(frame.index);
    }
    this.#held.push(held);
    this.#camera.add(frame.index, change?.dx ?? 0, change?.dy ?? 0);
    if (this.#isDue(frame) && this.#options.looksBeside) this.#lookBeside(held);
    else if (this.#isDue(frame)) await this.#detect(held);
    // Whatever became of it: a look that nobody waits for must not end the process, nor run into the next one.
    if (this.#lookedAt !== held) await held.looking?.catch(() => undefined);
    return this.#releaseReady();
  }

  /** From the next frame that leaves on. A window that shrinks lets go of what it held with the next frame that comes. */
  change(changes: PipelineChanges): void {
    this.#options = { ...this.#options, ...changes };
  }

  /** Frames are missing before the next one: it says nothing about those before it, nor they about it. */
  async gap(): Promise<void> {
    await this.#settle();
    await this.#detectLastPending();
    this.#looks.afresh();
    this.#mustDetect = true;
  }

  /**
   * Shows or covers the face of one track for as long as it is sure to be the same face.
   * @returns false where no such face is on screen
   */
  pin(track: number, visible: boolean): boolean {
    if (!this.#tracker.isAlive(track)) return false;
    this.#pins.set(track, visible);
    return true;
  }

  /** Gives back all that is held, once no frame follows: one by one, so that no second window of copies is needed. */
  async *flush(): AsyncGenerator<RedactedPicture> {
    await this.#settle();
    await this.#detectLastPending();
    while (this.#held.length > 0) yield this.#release();
  }

  /** Frees what is held, once nobody looks at it any more. The detector is its maker's to close. */
  async close(): Promise<void> {
    if (this.#lookedAt) await this.#lookedAt.looking?.catch(() => undefined);
    for (const { frame } of this.#held.splice(0)) closeFrame(frame);
    this.#looks.close();
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

  #isDue({ index }: VideoFrame): boolean {
    const { windowFrames, detectEveryFrames } = this.#options;
    const last = this.#lookedAt?.frame.index ?? this.#lastDetected;
    return this.#mustDetect || index - last >= detectEveryFrames || windowFrames === 0;
  }

  get #lastPending(): Held | undefined {
    return this.#held.findLast(({ inspection }) => inspection === 'pending');
  }

  /** Looks at the latest frame that waits for its later side, because that will not come. */
  async #detectLastPending(): Promise<void> {
    const last = this.#lastPending;
    if (last) await this.#detect(last);
  }

  /** Starts to look at a frame; what is seen is taken in before anything else is decided. */
  #lookBeside(held: Held): void {
    if (held.inspection === 'failed') return;
    held.looking ??= this.#looks.look(held.frame.index, held.frame.picture);
    // It is waited for later, and then its failure counts.
    held.looking.catch(() => undefined);
    this.#lookedAt = held;
  }

  /** Takes in what the look under way has seen, if there is one. */
  async #settle(): Promise<void> {
    const held = this.#lookedAt;
    if (!held) return;
    await this.#detect(held);
    this.#lookedAt = undefined;
  }

  async #detect(held: Held): Promise<void> {
    if (held.inspection === 'failed') return;
    const { index, picture } = held.frame;
    try {
      const found = await (held.looking ?? this.#looks.look(index, picture));
      this.#tracker.update(index, found, Math.max(picture.width, picture.height));
    } catch (error) {
      this.#fail(held, error);
      // Nobody saw this frame, so nobody knows about those beside it that wait for their other side, either.
      for (const other of this.#held) if (other.inspection === 'pending') other.inspection = 'failed';
      return;
    }
    this.#lastDetected = index;
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

  async #releaseReady(): Promise<RedactedPicture[]> {
    const ready: RedactedPicture[] = [];
    while (this.#held.length > this.#options.windowFrames) {
      if (this.#held[0]!.inspection === 'pending') await this.#settle();
      ready.push(this.#release());
    }
    return ready;
  }

  #release(): RedactedPicture {
    const { frame, inspection } = this.#held.shift()!;
    if ((inspection !== 'detected' && inspection !== 'bracketed') || frame.broken) return this.#covered(frame);
    const { policy, tracker, windowFrames } = this.#options;
    const { width, height } = frame.picture;
    const limits = { afterFrames: tracker.maxLostFrames, beforeFrames: windowFrames };
    let faces: Cover[];
    let shown: readonly Cover[];
    try {
      faces = this.#tracker
        .tracksFrom(frame.index)
        .flatMap((track) => coversAt(track, frame.index, this.#camera, limits))
        .filter(({ box }) => !misses(box, width, height));
      this.#camera.forgetBefore(frame.index - tracker.maxLostFrames);
      if (!faces.every(({ box }) => Number.isFinite(box.x + box.y + box.w + box.h))) {
        throw new InferenceError('run-failed', 'a face is nowhere: its box is not finite');
      }
      shown = this.#pins.shownOf(faces, frame.index);
      this.#options.onInspected?.(frame.picture, faces);
    } catch (error) {
      this.#failures++;
      this.#lastFailure = error;
      return this.#covered(frame);
    }
    const covers = shown.length === 0 ? faces : faces.filter((face) => !shown.includes(face));
    const regions = covers.map(({ box }) => faceRegion(box, policy));
    return { frame: blurRegions(frame, regions, this.#pool), covers, shown, whole: false, inspection };
  }

  #covered(frame: VideoFrame): RedactedPicture {
    return { frame: coverWhole(frame, this.#pool), covers: [], shown: [], whole: true, inspection: null };
  }
}
