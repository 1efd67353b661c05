import type { InferenceError } from '../../../inference/errors.ts';
import type { CodedAudio, CodedVideo } from '../../../inference/live/coded-media.ts';
import { createLiveEngine } from '../../../inference/live/create-live-engine.ts';
import type { LiveEnginePool } from '../../../inference/live/engine-pool.ts';
import type { EngineStats, LiveEngine, LiveEngineOptions, LiveFace } from '../../../inference/live/live-engine.ts';
import { DEFAULT_POLICY } from '../../../inference/policy.ts';
import { defaultModelLocations } from '../../../models/locations.ts';

/** So many frames are on their way at most while a test feeds an engine as fast as it works. */
const AHEAD = 2;
/** A frame that was dropped never comes: after so long it is no longer waited for. */
const PATIENCE_MS = 1000;
const POLL_MS = 2;

/** A live engine with all that it told. */
export class EngineRun {
  readonly video: CodedVideo[] = [];
  readonly audio: CodedAudio[] = [];
  readonly faces: (readonly LiveFace[])[] = [];
  readonly stats: EngineStats[] = [];
  keyframesNeeded = 0;
  readonly closed: Promise<InferenceError | null>;
  #engine: LiveEngine | undefined;
  #onClosed!: (reason: InferenceError | null) => void;
  #sent = 0;
  #lost = 0;
  #lookahead = 0;

  private constructor() {
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  static async start(
    options: Partial<Omit<LiveEngineOptions, 'policy'>> & { policy?: Partial<LiveEngineOptions['policy']> } = {},
    pool?: LiveEnginePool,
  ): Promise<EngineRun> {
    const run = new EngineRun();
    const policy = { ...DEFAULT_POLICY, lookaheadFrames: 0, ...options.policy };
    run.#lookahead = policy.lookaheadFrames;
    run.#engine = await createLiveEngine(
      {
        input: 'h264',
        output: 'h264',
        bitrateBps: 2_500_000,
        keyframeIntervalMs: null,
        audio: null,
        models: defaultModelLocations({}),
        ...options,
        policy,
      },
      {
        onVideo: (frame) => run.video.push(frame),
        onAudio: (packet) => run.audio.push(packet),
        onKeyframeNeeded: () => {
          run.keyframesNeeded++;
        },
        onStats: (stats) => run.stats.push(stats),
        onFaces: (faces) => run.faces.push(faces),
        onClosed: (reason) => run.#onClosed(reason),
      },
      pool,
    );
    return run;
  }

  get engine(): LiveEngine {
    return this.#engine!;
  }

  /**
   * Sends copies of the frames as fast as they come back.
   * @param atMostFps for what takes its time beside the frames
   */
  async feed(frames: readonly CodedVideo[], atMostFps = Number.POSITIVE_INFINITY): Promise<void> {
    let nextMs = performance.now();
    for (const frame of frames) {
      const earlyMs = nextMs - performance.now();
      if (earlyMs > 0) await new Promise((resolve) => setTimeout(resolve, earlyMs));
      nextMs = Math.max(nextMs, performance.now()) + 1000 / atMostFps;
      const wanted = this.#sent - this.#lost - this.#lookahead - AHEAD;
      if (!(await this.until(() => this.video.length >= wanted, PATIENCE_MS))) this.#lost += wanted - this.video.length;
      this.push(frame);
    }
  }

  push(frame: CodedVideo): void {
    this.#sent++;
    this.engine.pushVideo({ ...frame, data: new Uint8Array(frame.data) });
  }

  /** Waits for so many pictures in all, or until none comes any more. */
  async received(count: number, timeoutMs = 5000): Promise<void> {
    await this.until(() => this.video.length >= count, timeoutMs);
  }

  /** @returns whether it came true in time */
  async until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  async nextStats(): Promise<EngineStats> {
    const before = this.stats.length;
    if (!(await this.until(() => this.stats.length > before, 5000))) throw new Error('no statistics came');
    return this.stats.at(-1)!;
  }
}
