import type { Detector } from './detect/detector.ts';
import { type LookOptions, Looks } from './detect/looks.ts';
import { InferenceError } from './errors.ts';
import { closeFrame, type VideoFrame } from './media/video-frame.ts';
import { type Detection, misses } from './track/box.ts';
import { CameraPath } from './track/camera-path.ts';
import { type Cover, coversAt } from './track/coverage.ts';
import { type SceneChange, SceneWatch } from './track/scene.ts';
import { type SeenFace, Tracker, type TrackerOptions } from './track/tracker.ts';

export interface InspectorOptions extends LookOptions {
  readonly detector: Detector;
  /** Frames held back, so that a face found later is covered from before it was found. 0 holds none. */
  readonly windowFrames: number;
  /** Detection runs on every so many-th frame; the window must reach from one to the next. */
  readonly detectEveryFrames: number;
  /** Frames go on coming in while the detector looks at one, until the next look: for files, where all cores should work. */
  readonly looksBeside?: boolean;
  /** Pictures are closed as soon as nobody has to look at them any more: frames come out without, in a window of any length. */
  readonly dropsPictures?: boolean;
  readonly tracker: TrackerOptions;
  /**
   * Shown each frame that the detector looked at, borrowed until it settles, with the faces it saw in it and the tracks
   * they belong to. What it throws counts as a failed detection: the frame leaves covered whole.
   */
  readonly onSeen?: (frame: VideoFrame, faces: readonly SeenFace[]) => void | Promise<void>;
}

/** What may be changed between two frames. */
export type InspectorChanges = Partial<Pick<InspectorOptions, 'windowFrames' | 'detectEveryFrames'>>;

/** A frame, the receiver's to close unless pictures are dropped (then its picture is gone), and what is in it. */
export interface InspectedFrame {
  readonly frame: VideoFrame;
  /** Everything in it that is or may be a face; empty where it was not inspected. */
  readonly faces: readonly Cover[];
  /** How it was inspected; null where it was not, and so must be covered whole. */
  readonly inspection: 'detected' | 'bracketed' | null;
}

/** What is known of a frame: only the first two may leave with single faces covered. */
type Inspection = 'detected' | 'bracketed' | 'pending' | 'failed';

interface Held {
  readonly frame: VideoFrame;
  readonly width: number;
  readonly height: number;
  inspection: Inspection;
  /** Its picture is closed already. */
  isDropped: boolean;
  /** What the detector will say, where it was asked ahead of its turn. */
  looking?: Promise<Detection[]>;
}

/**
 * Detect and track: frames go in as they were decoded and come out, in order, `windowFrames` later, with the faces in
 * them. A frame is inspected when the detector ran on it or on frames of its scene on both sides of it, and nothing
 * failed on it.
 */
export class Inspector {
  #options: InspectorOptions;
  readonly #scene = new SceneWatch();
  readonly #camera = new CameraPath();
  readonly #looks: Looks;
  readonly #tracker: Tracker;
  readonly #held: Held[] = [];
  /** A frame that is being looked at while others come in. */
  #lookedAt: Held | undefined;
  #lastDetected = Number.NEGATIVE_INFINITY;
  #mustDetect = true;
  #failures = 0;
  #lastFailure: unknown;

  constructor(options: InspectorOptions) {
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
  async push(frame: VideoFrame): Promise<InspectedFrame[]> {
    const { width, height } = frame.picture;
    const held: Held = { frame, width, height, inspection: 'pending', isDropped: false };
    if (this.#isDue(frame)) await this.#settle();
    // The model runs in a thread of its own: where it is clear that it must look and nothing stands before this frame,
    // the scene is watched meanwhile.
    if (!frame.broken && this.#isDue(frame) && !this.#lastPending)
      held.looking = this.#looks.look(frame.index, frame.picture);
    const change = this.#watch(held);
    if (!change || change.abrupt) {
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
    if (this.#options.dropsPictures) this.#dropPictures();
    return this.#releaseReady();
  }

  /** From the next frame that leaves on. A window that shrinks lets go of what it held with the next frame that comes. */
  change(changes: InspectorChanges): void {
    this.#options = { ...this.#options, ...changes };
  }

  /** Frames are missing before the next one: it says nothing about those before it, nor they about it. */
  async gap(): Promise<void> {
    await this.#settle();
    await this.#detectLastPending();
    this.#looks.afresh();
    this.#mustDetect = true;
  }

  /** Whether a believed face of this id is being followed. */
  isFollowing(track: number): boolean {
    return this.#tracker.isAlive(track);
  }

  /** Gives back all that is held, once no frame follows: one by one, so that no second window of copies is needed. */
  async *flush(): AsyncGenerator<InspectedFrame> {
    await this.#settle();
    await this.#detectLastPending();
    while (this.#held.length > 0) yield this.#release();
  }

  /** Frees what is held, once nobody looks at it any more. The detector is its maker's to close. */
  async close(): Promise<void> {
    if (this.#lookedAt) await this.#lookedAt.looking?.catch(() => undefined);
    for (const { frame, isDropped } of this.#held.splice(0)) if (!isDropped) closeFrame(frame);
    this.#looks.close();
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

  /** Only the frame that is being looked at, and the latest that waits for its later side, can still be asked for. */
  #dropPictures(): void {
    const last = this.#lastPending;
    for (const held of this.#held) {
      if (held.isDropped || held === last || held === this.#lookedAt) continue;
      closeFrame(held.frame);
      held.isDropped = true;
    }
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
      const seen = this.#tracker.update(index, found, Math.max(picture.width, picture.height));
      await this.#options.onSeen?.(held.frame, seen);
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

  async #releaseReady(): Promise<InspectedFrame[]> {
    const ready: InspectedFrame[] = [];
    while (this.#held.length > this.#options.windowFrames) {
      if (this.#held[0]!.inspection === 'pending') await this.#settle();
      ready.push(this.#release());
    }
    return ready;
  }

  #release(): InspectedFrame {
    const held = this.#held.shift()!;
    const { frame, inspection } = held;
    if (this.#options.dropsPictures && !held.isDropped) closeFrame(frame);
    const blind: InspectedFrame = { frame, faces: [], inspection: null };
    if ((inspection !== 'detected' && inspection !== 'bracketed') || frame.broken) return blind;
    try {
      return { frame, faces: this.#facesIn(held), inspection };
    } catch (error) {
      this.#failures++;
      this.#lastFailure = error;
      return blind;
    }
  }

  #facesIn({ frame: { index }, width, height }: Held): Cover[] {
    const { tracker, windowFrames } = this.#options;
    const limits = { afterFrames: tracker.maxLostFrames, beforeFrames: windowFrames };
    const faces = this.#tracker
      .tracksFrom(index)
      .flatMap((track) => coversAt(track, index, this.#camera, limits))
      .filter(({ box }) => !misses(box, width, height));
    this.#camera.forgetBefore(index - tracker.maxLostFrames);
    if (!faces.every(({ box }) => Number.isFinite(box.x + box.y + box.w + box.h))) {
      throw new InferenceError('run-failed', 'a face is nowhere: its box is not finite');
    }
    return faces;
  }
}
