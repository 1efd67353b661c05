import type { Detector } from '../detect/detector.ts';
import { timedDetector } from '../detect/timed-detector.ts';
import type { LiveTuning } from '../detect/tuning.ts';
import { asInferenceError } from '../errors.ts';
import { closeFrame, type VideoFrame } from '../media/video-frame.ts';
import { BlurPipeline, type JudgedPicture } from '../pipeline.ts';
import type { CodedVideo } from './coded-media.ts';
import { DetectionPace } from './detection-pace.ts';
import { type EngineStart, type FaceWithThumbnail, monotonicMs } from './engine-messages.ts';
import { EngineMeter } from './engine-meter.ts';
import { FaceRecognition } from './face-recognition.ts';
import { FacesOnScreen } from './faces-on-screen.ts';
import { FrameQueue, type QueuedFrame } from './frame-queue.ts';
import { LiveDecoder } from './live-decoder.ts';
import { LiveEncoder } from './live-encoder.ts';
import type { EngineStats, LiveFace, LivePolicy } from './live-engine.ts';
import type { LiveRecogniser } from './open-recogniser.ts';
import { ThumbnailRequests } from './thumbnail-requests.ts';

/** What a job tells whoever runs it. */
export interface LiveJobHooks {
  onVideo(frame: CodedVideo): void;
  /** One more frame that came in is done with. */
  onTaken(): void;
  onKeyframeNeeded(): void;
  onFaces(faces: readonly LiveFace[]): void;
  /** It can't go on. */
  onFailed(error: unknown): void;
}

/** What follows a keyframe in ten seconds: an engine that takes over from one that died begins with that. */
const QUEUE = { maxFrames: 320, maxBytes: 17 * 2 ** 20 };
/** From this wait on frames are decoded and no more, for those that follow are predicted from them ... */
const CATCH_UP_MS = 500;
/** ... until they wait no longer than this. */
const CAUGHT_UP_MS = 60;
/** Where even decoding is too slow, frames that waited longer than this are dropped up to the next keyframe. */
const MAX_WAIT_MS = 1500;
/** A keyframe is asked for again after so long without one. */
const ASK_AGAIN_MS = 400;
/** After so long without a frame, those held for look-ahead leave. */
const STALL_MS = 250;
const FACES_INTERVAL_MS = 100;
/** So many pictures in a row that could not be encoded end the job. */
const MAX_ENCODER_FAILURES = 10;
/** Detection that failed on every frame for so long ends the job. Until then they leave covered whole. */
const MAX_FAILING_MS = 1000;
const MAX_LOOKAHEAD_FRAMES = 15;

/** Decode → detect → track → policy → blur → encode of one live stream, in this process, frame by frame. */
export class LiveJob {
  readonly meter = new EngineMeter();
  readonly #hooks: LiveJobHooks;
  readonly #detector: Detector;
  readonly #queue: FrameQueue;
  readonly #decoder: LiveDecoder;
  readonly #encoder: LiveEncoder;
  readonly #pipeline: BlurPipeline;
  readonly #pace: DetectionPace;
  readonly #recognition: FaceRecognition;
  readonly #screen = new FacesOnScreen();
  readonly #thumbnails = new ThumbnailRequests();
  #isPumping = false;
  #closed = false;
  #askedMs = Number.NEGATIVE_INFINITY;
  #toldFacesMs = Number.NEGATIVE_INFINITY;
  #encoderFailures = 0;
  #pictures = 0;
  #isCatchingUp = false;
  #gap = false;
  /** Of the pipeline, in all, and since when every frame has one. */
  #failures = 0;
  #failingSinceMs: number | null = null;
  /** What detection took for the frame at hand. */
  #detectMs = 0;
  #size = { width: 0, height: 0 };
  #stall: NodeJS.Timeout | undefined;

  /**
   * The detector stays its maker's.
   * @param openRecogniser called once somebody is to be recognised; what it opens is closed with the job
   * @throws InferenceError 'decode-failed'
   */
  constructor(
    options: EngineStart,
    detector: Detector,
    tuning: LiveTuning,
    openRecogniser: () => Promise<LiveRecogniser>,
    hooks: LiveJobHooks,
  ) {
    this.#hooks = hooks;
    this.#detector = timedDetector(detector, (ms) => {
      this.#detectMs += ms;
    });
    this.#queue = new FrameQueue(QUEUE, (reason) => {
      this.meter.drop(reason);
      hooks.onTaken();
    });
    this.#decoder = LiveDecoder.open(options.input);
    this.#encoder = new LiveEncoder(options);
    const { policy } = options;
    const lookahead = lookaheadOf(policy);
    this.#pace = new DetectionPace(lookahead);
    this.#pipeline = new BlurPipeline({
      detector: this.#detector,
      policy,
      windowFrames: lookahead,
      detectEveryFrames: this.#pace.everyFrames,
      inputPx: tuning.inputPx,
      sharpEveryFrames: 0,
      sharpInputPx: tuning.inputPx,
      minScore: tuning.minScore,
      tracker: tuning.tracker,
      onInspected: (picture, faces) => this.#thumbnails.cut(picture, faces),
      onSeen: (frame, faces) => this.#recognition.offer(frame, faces),
    });
    this.#recognition = new FaceRecognition(this.#pipeline.people, openRecogniser);
    this.#setPeople(policy);
  }

  /** Takes a frame over. */
  push(frame: CodedVideo, sentMs: number): void {
    this.meter.frames.in++;
    this.#queue.push(frame, sentMs);
    this.#askIfWaiting();
    void this.#pump();
  }

  /** Frames are missing after the last one pushed. */
  loss(): void {
    this.#queue.loss();
    this.#askIfWaiting();
  }

  setPolicy(policy: LivePolicy): void {
    const lookahead = lookaheadOf(policy);
    this.#pace.setLookahead(lookahead);
    this.#pipeline.change({
      policy,
      windowFrames: lookahead,
      detectEveryFrames: this.#pace.everyFrames,
    });
    this.#setPeople(policy);
  }

  #setPeople({ people }: LivePolicy): void {
    this.#pipeline.change({ people: people ?? null });
    // What the pipeline keeps are copies, which it erases; what came in a message is nobody's any more.
    for (const { embeddings } of people?.people ?? []) for (const embedding of embeddings) embedding.fill(0);
    this.#recognition.prepare();
  }

  setVisible(track: number, visible: boolean): boolean {
    const isThere = this.#pipeline.pin(track, visible);
    this.#recognition.prepare();
    return isThere;
  }

  requestKeyframe(): void {
    this.#encoder.requestKeyframe();
  }

  setBitrate(bitrateBps: number): void {
    this.#encoder.setBitrate(bitrateBps);
  }

  /** The faces of the next picture that leaves, or, where none does soon, those of the last without thumbnails. */
  faces(): Promise<readonly FaceWithThumbnail[]> {
    return this.#thumbnails.ask(() => this.#screen.faces);
  }

  stats(): EngineStats {
    const { name, counts, problem } = this.#recognition;
    return this.meter.read(
      {
        ...this.#size,
        faces: this.#screen.faces.length,
        detectEveryFrames: this.#pace.everyFrames,
        detector: this.#detector.name,
      },
      { recogniser: name, ...counts, problem },
    );
  }

  /** Frees what it holds. Not while a frame is being worked on; its process is killed rather than closed. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#stall);
    this.#pipeline.close();
    void this.#recognition.close();
    this.#encoder.close();
    this.#decoder.close();
  }

  #askIfWaiting(): void {
    if (!this.#queue.isWaiting) return;
    this.#ask();
  }

  #ask(): void {
    const now = performance.now();
    if (now - this.#askedMs < ASK_AGAIN_MS) return;
    this.#askedMs = now;
    this.#hooks.onKeyframeNeeded();
  }

  async #pump(): Promise<void> {
    if (this.#isPumping || this.#closed) return;
    this.#isPumping = true;
    clearTimeout(this.#stall);
    try {
      for (;;) {
        const head = this.#queue.headSentMs;
        if (head === null) break;
        if (monotonicMs() - head > MAX_WAIT_MS) {
          this.#queue.skipToKeyframe('queue-full');
          this.#askIfWaiting();
        }
        const next = this.#queue.shift();
        if (!next) break;
        await this.#process(next);
        // Whatever came meanwhile is read before the next frame.
        if (this.#queue.length > 0) await new Promise(setImmediate);
      }
    } catch (error) {
      this.#closed = true;
      this.#hooks.onFailed(error);
    } finally {
      this.#isPumping = false;
    }
    if (!this.#closed) this.#stall = setTimeout(() => void this.#letGo(), STALL_MS);
  }

  async #process({ frame, sentMs, afterGap }: QueuedFrame): Promise<void> {
    const started = performance.now();
    const waitedMs = monotonicMs() - sentMs;
    this.#isCatchingUp = waitedMs > (this.#isCatchingUp ? CAUGHT_UP_MS : CATCH_UP_MS);
    this.meter.time('wait', waitedMs);
    if (afterGap) {
      this.#decoder.reset();
      this.#gap = true;
    }
    const { pictures, failed } = this.#decoder.decode(frame);
    this.meter.time('decode', performance.now() - started);
    if (failed) {
      if (pictures.length === 0) this.meter.drop('undecodable');
      this.#ask();
    }
    for (const picture of pictures) {
      if (this.#isCatchingUp) this.#skip(picture);
      else await this.#blur(picture);
    }
    this.#pace.note(waitedMs, performance.now() - started, performance.now());
    this.#hooks.onTaken();
  }

  /** Too late to be looked at, and so it does not leave. */
  #skip(picture: VideoFrame): void {
    closeFrame(picture);
    this.meter.drop('queue-full');
    this.#gap = true;
  }

  async #blur({ picture, broken }: VideoFrame): Promise<void> {
    if (this.#gap) await this.#pipeline.gap();
    this.#gap = false;
    this.#size = { width: picture.width, height: picture.height };
    this.#pipeline.change({ detectEveryFrames: this.#pace.everyFrames });
    const started = performance.now();
    this.#detectMs = 0;
    const ready = await this.#pipeline.push({ index: this.#pictures++, picture, broken });
    this.meter.time('blur', performance.now() - started - this.#detectMs);
    if (this.#detectMs > 0) this.meter.time('detect', this.#detectMs);
    for (const each of ready) this.#send(each);
    this.#giveUpOnDetector();
  }

  /** A model that only fails is not going to recover in this process; another one may do better. */
  #giveUpOnDetector(): void {
    const { count, last } = this.#pipeline.failures;
    const now = performance.now();
    if (count === this.#failures) this.#failingSinceMs = null;
    else this.#failingSinceMs ??= now;
    this.#failures = count;
    if (this.#failingSinceMs === null || now - this.#failingSinceMs < MAX_FAILING_MS) return;
    throw asInferenceError(last, 'run-failed', 'detection only fails');
  }

  /** The source stands still: what is held for look-ahead need not wait for it. */
  async #letGo(): Promise<void> {
    if (this.#isPumping || this.#closed) return;
    this.#isPumping = true;
    try {
      for await (const ready of this.#pipeline.flush()) this.#send(ready);
    } catch (error) {
      this.#closed = true;
      this.#hooks.onFailed(error);
    } finally {
      this.#isPumping = false;
    }
    if (this.#queue.length > 0) void this.#pump();
  }

  #send({ frame, covers, shown, verdicts, whole, inspection }: JudgedPicture): void {
    const pts = Number(frame.picture.pts);
    const started = performance.now();
    let coded: CodedVideo | null;
    try {
      coded = this.#encoder.encode(frame);
    } catch (error) {
      this.meter.drop('encoder-failed');
      if (++this.#encoderFailures >= MAX_ENCODER_FAILURES) throw error;
      return;
    }
    this.meter.time('encode', performance.now() - started);
    this.#encoderFailures = 0;
    if (!coded) {
      this.meter.drop('undecodable');
      return;
    }
    this.#hooks.onVideo(coded);
    this.meter.frames.out++;
    if (whole) this.meter.frames.covered++;
    else if (inspection) this.meter.frames[inspection]++;
    this.#screen.update(pts, [...covers, ...shown], verdicts);
    this.#thumbnails.answer(this.#screen.faces);
    if (started - this.#toldFacesMs < FACES_INTERVAL_MS) return;
    const faces = this.#screen.takeChange();
    if (!faces) return;
    this.#toldFacesMs = started;
    this.#hooks.onFaces(faces);
  }
}

/** Out of range is out of the question, but a window without bound must not come of it. */
function lookaheadOf({ lookaheadFrames }: LivePolicy): number {
  return Math.min(MAX_LOOKAHEAD_FRAMES, Math.max(0, Math.trunc(lookaheadFrames) || 0));
}
