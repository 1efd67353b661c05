import type { Logger } from 'pino';
import type { InferenceError } from '../inference/errors.ts';
import type { CodedVideo, VideoCodec } from '../inference/live/coded-media.ts';
import type { LiveEngine, LiveEngineHooks, LiveEngineOptions, LivePolicy } from '../inference/live/live-engine.ts';
import type { MediaSource } from './media-source.ts';

export type MakeEngine = (options: Omit<LiveEngineOptions, 'models'>, hooks: LiveEngineHooks) => Promise<LiveEngine>;

export interface EngineKeeperOptions {
  readonly streamId: string;
  readonly source: MediaSource;
  readonly output: EngineOutput;
  readonly policy: LivePolicy;
  readonly bitrateBps: number;
  readonly makeEngine: MakeEngine;
  readonly log: Logger;
}

/** What is made of the pictures. */
export interface EngineOutput {
  readonly codec: VideoCodec;
  /** Longest time between keyframes; null for only where one is asked for. */
  readonly keyframeIntervalMs: number | null;
}

export interface EngineKeeperHooks extends Omit<LiveEngineHooks, 'onClosed'> {
  /** Engines die too often, or none starts. Called once. */
  onGivenUp(message: string): void;
}

/** So many engines may die within the time before the publish is given up. */
const MAX_DEATHS = 5;
const DEATHS_WITHIN_MS = 60_000;
/** Frames held while no engine runs: since the last keyframe, so that the next engine can begin at once. */
const MAX_HELD_FRAMES = 300;
const MAX_HELD_BYTES = 16 * 2 ** 20;

/**
 * Keeps one engine running for a publish: starts it, starts another where it died or hung, and holds the frames since
 * the last keyframe for where the source can't be asked for a new one.
 */
export class EngineKeeper {
  readonly #options: EngineKeeperOptions;
  readonly #hooks: EngineKeeperHooks;
  readonly #deaths: number[] = [];
  /** What the next engine begins with, from a keyframe on. */
  readonly #group: CodedVideo[] = [];
  #groupBytes = 0;
  #engine: LiveEngine | null = null;
  #policy: LivePolicy;
  #output: EngineOutput;
  #bitrateBps: number;
  #closed = false;
  #starting: Promise<void> = Promise.resolve();
  #unserved = 0;

  constructor(options: EngineKeeperOptions, hooks: EngineKeeperHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#policy = options.policy;
    this.#output = options.output;
    this.#bitrateBps = options.bitrateBps;
  }

  /** Null while one starts. */
  get engine(): LiveEngine | null {
    return this.#engine;
  }

  /** Frames that met no engine. */
  get dropped(): Readonly<Record<string, number>> {
    return this.#unserved > 0 ? { 'no-engine': this.#unserved } : {};
  }

  start(): void {
    this.#starting = this.#start();
  }

  pushVideo(frame: CodedVideo): void {
    if (this.#closed) return;
    const keep = !this.#options.source.canRequestKeyframe || !this.#engine;
    if (frame.isKeyframe || !keep) this.#forget();
    if (keep) this.#hold(frame);
    this.#engine?.pushVideo(frame);
  }

  /** Nothing held decodes across a loss. */
  markLoss(): void {
    this.#forget();
    this.#engine?.markLoss();
  }

  setPolicy(policy: LivePolicy): void {
    this.#policy = policy;
    this.#engine?.setPolicy(policy);
  }

  setBitrate(bitrateBps: number): void {
    this.#bitrateBps = bitrateBps;
    this.#engine?.setBitrate(bitrateBps);
  }

  /** Goes on with an engine for another output. */
  async moveTo(output: EngineOutput): Promise<void> {
    this.#output = output;
    await this.#starting;
    const before = this.#engine;
    if (this.#closed || !before) return;
    this.#engine = null;
    await before.close();
    if (!this.#closed) this.start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#forget();
    await this.#starting;
    await this.#engine?.close();
  }

  async #start(): Promise<void> {
    const { source, log, streamId } = this.#options;
    const { codec, keyframeIntervalMs } = this.#output;
    try {
      const engine = await this.#options.makeEngine(
        {
          input: source.video!,
          output: codec,
          policy: this.#policy,
          bitrateBps: this.#bitrateBps,
          keyframeIntervalMs,
          audio: source.audio?.codec === 'aac' ? source.audio : null,
        },
        { ...this.#hooks, onClosed: (reason) => this.#onClosed(reason) },
      );
      if (this.#output.codec !== codec) {
        // Another output was asked for while it started.
        await engine.close();
        return this.#start();
      }
      if (this.#closed) {
        await engine.close();
        return;
      }
      engine.setPolicy(this.#policy);
      this.#engine = engine;
      log.info({ streamId, pid: engine.pid }, 'engine started');
      if (this.#group[0]?.isKeyframe) for (const frame of this.#group) engine.pushVideo(frame);
      if (source.canRequestKeyframe) {
        if (!this.#group[0]?.isKeyframe) source.requestKeyframe();
        this.#forget();
      }
    } catch (error) {
      this.#died((error as Error).message);
    }
  }

  #onClosed(reason: InferenceError | null): void {
    if (reason === null) return;
    this.#engine = null;
    if (!this.#closed) this.#died(reason.message);
  }

  #died(why: string): void {
    const { streamId, log } = this.#options;
    if (this.#closed) return;
    const now = performance.now();
    this.#deaths.push(now);
    while (this.#deaths[0]! < now - DEATHS_WITHIN_MS) this.#deaths.shift();
    log.warn({ streamId, deaths: this.#deaths.length, why }, 'engine died');
    if (this.#deaths.length >= MAX_DEATHS) {
      this.#closed = true;
      this.#hooks.onGivenUp(`the blurring failed ${MAX_DEATHS} times in a minute: ${why}`);
      return;
    }
    this.#starting = this.#start();
  }

  #hold(frame: CodedVideo): void {
    if (this.#group.length === 0 && !frame.isKeyframe) {
      if (!this.#engine) this.#unserved++;
      return;
    }
    this.#group.push(frame);
    this.#groupBytes += frame.data.byteLength;
    if (this.#group.length > MAX_HELD_FRAMES || this.#groupBytes > MAX_HELD_BYTES) this.#forget();
  }

  #forget(): void {
    this.#group.length = 0;
    this.#groupBytes = 0;
  }
}
