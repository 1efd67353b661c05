import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import type { LiveFace } from '../../inference/live/live-engine.ts';
import { PushClock } from '../../sfu/push/push-clock.ts';
import { type FaceRange, FaceRanges } from './face-ranges.ts';
import { Packager, type PackagerOptions, type Segment, TOLERANCE_MS } from './packager.ts';

/** A packet of 20 ms in which nothing is heard: CELT, full band, two channels (RFC 6716 §3.1). */
const SILENCE = Uint8Array.of(0xfc, 0xff, 0xfe);
const SILENCE_MS = 20;
/** Sound that is missing for longer is silence; a packet may still be on its way until then. */
const MAX_MISSING_MS = 600;
const FILL_BEHIND_MS = 200;
/** Pictures are this far apart at least. */
const MIN_STEP_MS = 0.2;
/** A keyframe is asked for this long before a segment is full: it comes a picture or two later. */
const ASK_AHEAD_MS = 50;
const ASK_AGAIN_MS = 500;

/** A segment and who is seen in it. */
export interface PartSegment extends Segment {
  /** Times from the segment's start. */
  readonly faces: readonly FaceRange[];
}

export interface LivePartOptions extends PackagerOptions {
  readonly requestKeyframe: () => void;
  /** Something came of it, or it is over. */
  readonly onChange: () => void;
}

/**
 * One run of a stream that one init segment serves: a publisher's pictures of one size. Gives its segments when asked,
 * so that they can wait for those of the run before.
 */
export class LivePart {
  readonly parameterSets: Uint8Array;
  readonly segments: PartSegment[] = [];
  readonly #options: LivePartOptions;
  readonly #packager: Packager;
  readonly #clock = new PushClock();
  readonly #faces = new FaceRanges();
  #init: Buffer | null = null;
  #isOver = false;
  #fault: Error | null = null;
  #lastVideoMs = Number.NEGATIVE_INFINITY;
  #soundUntilMs = 0;
  /** Of the segment at hand. */
  #segmentStartMs = 0;
  #askedMs = 0;

  constructor(options: LivePartOptions) {
    this.#options = options;
    this.parameterSets = options.parameterSets;
    this.#packager = new Packager(options, {
      onInit: (data) => {
        this.#init = data;
      },
      onSegment: ({ data, startMs, durationMs }) => {
        const faces = this.#faces.take(startMs, startMs + durationMs).map((range) => ({
          ...range,
          startMs: range.startMs - Math.round(startMs),
          endMs: range.endMs - Math.round(startMs),
        }));
        this.segments.push({ data, startMs, durationMs, faces });
        options.onChange();
      },
      onEnd: (fault) => {
        this.#isOver = true;
        this.#fault = fault;
        options.onChange();
      },
    });
  }

  /** What stands before its segments; there once there is one. */
  get init(): Buffer | null {
    return this.#init;
  }

  /** Its process is gone: no more segments come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why it ended before it was told to. */
  get fault(): Error | null {
    return this.#fault;
  }

  /** Of its process. */
  get pid(): number | undefined {
    return this.#packager.pid;
  }

  /** @param timeMs on the publish's line of time; the first is a keyframe */
  video(frame: Redacted<CodedVideo>, timeMs: number): void {
    const ms = Math.max(this.#clock.video(timeMs), this.#lastVideoMs + MIN_STEP_MS);
    this.#lastVideoMs = ms;
    this.#packager.video(frame, ms);
    if (ms - this.#soundUntilMs > MAX_MISSING_MS) this.#fillWithSilence(ms - FILL_BEHIND_MS);
    this.#cutAt(ms, frame.isKeyframe);
  }

  audio(packet: CodedAudio, timeMs: number): void {
    const ms = this.#clock.audio(timeMs);
    // What comes after silence has taken its place is too late.
    if (ms === null || ms < this.#soundUntilMs - SILENCE_MS) return;
    this.#packager.audio(packet, ms);
    this.#soundUntilMs = ms + SILENCE_MS;
  }

  /** @param faces all that are on screen from the last picture on */
  faces(faces: readonly LiveFace[]): void {
    this.#faces.update(Math.max(0, this.#lastVideoMs), faces);
  }

  /** No more comes. */
  end(): void {
    this.#packager.end();
  }

  #fillWithSilence(untilMs: number): void {
    for (; this.#soundUntilMs < untilMs; this.#soundUntilMs += SILENCE_MS) {
      this.#packager.audio({ data: SILENCE }, this.#soundUntilMs);
    }
  }

  /** The packager ends a segment at the first keyframe when it is full: one is asked for, as nobody else need want one. */
  #cutAt(ms: number, isKeyframe: boolean): void {
    const { segmentMs, requestKeyframe } = this.#options;
    const lastedMs = ms - this.#segmentStartMs;
    if (isKeyframe && lastedMs >= segmentMs - TOLERANCE_MS) this.#segmentStartMs = ms;
    else if (lastedMs >= segmentMs - ASK_AHEAD_MS && ms - this.#askedMs >= ASK_AGAIN_MS) {
      this.#askedMs = ms;
      requestKeyframe();
    }
  }
}
