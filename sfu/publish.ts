import type { Logger } from 'pino';
import type { Redacted } from '../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../inference/live/coded-media.ts';
import type { EngineStats, LiveEngine, LiveEngineHooks, LiveFace, LivePolicy } from '../inference/live/live-engine.ts';
import { AudioDelay } from './audio-delay.ts';
import { EngineKeeper, type MakeEngine } from './engine-keeper.ts';
import { LatencyWindow } from './latency-window.ts';
import type { MediaSource, SourceEnd } from './media-source.ts';
import { RequestGate } from './request-gate.ts';
import { Smoothed } from './smoothed.ts';
import type { RedactedOutput } from './view/redacted-output.ts';

/** Viewers' keyframe requests within this time are served by one keyframe. */
const KEYFRAME_INTERVAL_MS = 200;
/** And ours to the publisher. */
const UPSTREAM_KEYFRAME_INTERVAL_MS = 250;
/** Frames whose way through the engine is timed at a time; more than any queue holds. */
const MAX_TIMED = 512;

export interface PublishOptions {
  readonly streamId: string;
  readonly source: MediaSource;
  readonly output: RedactedOutput;
  readonly policy: LivePolicy;
  readonly bitrateBps: number;
  readonly keyframeIntervalMs: number | null;
  readonly makeEngine: MakeEngine;
  readonly log: Logger;
}

export interface PublishHooks {
  /** The first blurred frame left, or the first again after it had stopped. */
  onLive(): void;
  onFaces(faces: readonly LiveFace[]): void;
  onEngineStats(stats: EngineStats): void;
  /** It is over. Called once, and last; not after `close`. */
  onEnd(end: SourceEnd, message: string): void;
}

type PublishState = 'starting' | 'live' | 'draining' | 'closed';

/** One publish: a source, the engine that blurs it, and its way to the output. It only moves forward. */
export class Publish {
  readonly source: MediaSource;
  readonly startedAt = new Date();
  readonly latency = new LatencyWindow();
  readonly #hooks: PublishHooks;
  readonly #keeper: EngineKeeper;
  readonly #audioDelay: AudioDelay;
  readonly #audioLag = new Smoothed(0.05);
  readonly #viewerKeyframes: RequestGate;
  readonly #sourceKeyframes: RequestGate;
  /** When frames came in, by pts. */
  readonly #arrivals = new Map<number, number>();
  #output: RedactedOutput;
  #state: PublishState = 'starting';
  #stats: EngineStats | null = null;
  #losses = 0;
  #late = 0;
  #lastPts = Number.NEGATIVE_INFINITY;
  /** Unix ms less the timeline's ms. */
  #epochMs: number | undefined;
  #sentVideo: { pts: number; at: number } | null = null;
  #sentAudio: { pts: number; at: number } | null = null;
  #closing: Promise<void> | undefined;

  constructor(options: PublishOptions, hooks: PublishHooks) {
    this.#output = options.output;
    this.#hooks = hooks;
    this.source = options.source;
    this.#viewerKeyframes = new RequestGate(KEYFRAME_INTERVAL_MS, () => this.#keeper.engine?.requestKeyframe());
    this.#sourceKeyframes = new RequestGate(UPSTREAM_KEYFRAME_INTERVAL_MS, () => this.source.requestKeyframe());
    this.#audioDelay = new AudioDelay((packet) => this.#sendAudio(packet));
    const { codec } = options.output;
    const output = { codec, keyframeIntervalMs: options.keyframeIntervalMs };
    this.#keeper = new EngineKeeper(
      { ...options, output },
      {
        ...this.#engineHooks(),
        onGivenUp: (message) => this.#end('failed', message),
      },
    );
  }

  /** Lets media flow. Called once. */
  start(): void {
    const { audio } = this.source;
    this.#output.beginPublish();
    this.#keeper.start();
    this.source.start({
      onVideo: (frame) => this.#takeVideo(frame),
      onAudio: (packet) => {
        if (audio?.codec === 'aac') this.#keeper.engine?.pushAudio(packet);
        else this.#delayAudio(packet);
      },
      onLoss: () => {
        this.#losses++;
        this.#keeper.markLoss();
        this.#sourceKeyframes.request();
      },
      onEnd: (end, message) => this.#end(end, message),
    });
  }

  get live(): boolean {
    return this.#state === 'live';
  }

  get stats(): EngineStats | null {
    return this.#stats;
  }

  /** Frames that never left, by reason, beside those that the engine counts. */
  get dropped(): Readonly<Record<string, number>> {
    return {
      ...this.#keeper.dropped,
      ...(this.#losses && { loss: this.#losses }),
      ...(this.#late && { late: this.#late }),
    };
  }

  get engine(): LiveEngine | null {
    return this.#keeper.engine;
  }

  /** By how much sound leaves after its picture of late, ms; negative where it leaves before. */
  get lipSyncMs(): number {
    const video = this.#audioDelay.lagMs;
    const audio = this.#audioLag.value;
    return video === null || audio === null ? 0 : Math.round((audio - video) * 10) / 10;
  }

  /** When a picture was taken, by our clock. */
  timeOf(pts: number): Date {
    const sent = this.#sentVideo;
    if (!sent) return new Date();
    return new Date(Date.now() - (performance.now() - sent.at) - (sent.pts - pts) / 90);
  }

  requestKeyframe(): void {
    this.#viewerKeyframes.request();
  }

  setPolicy(policy: LivePolicy): void {
    this.#keeper.setPolicy(policy);
  }

  setBitrate(bitrateBps: number): void {
    this.#keeper.setBitrate(bitrateBps);
  }

  /** Goes on towards another output; the one before is its maker's to close. */
  async moveTo(output: RedactedOutput, keyframeIntervalMs: number | null): Promise<void> {
    await this.#keeper.moveTo({ codec: output.codec, keyframeIntervalMs });
    // Not before: what the engine that ends still gave is of the other codec.
    this.#output = output;
  }

  /** Tells viewers how pictures and sound lie in time to each other. */
  sendReports(): void {
    // One clock for both: what the timeline says, moved to about now by the same amount.
    const sent = this.#sentVideo ?? this.#sentAudio;
    if (!sent) return;
    this.#epochMs ??= Date.now() - this.source.timelineMs(this.#sentVideo ? 'video' : 'audio', sent.pts);
    const { source } = this;
    if (this.#sentVideo) {
      const { pts } = this.#sentVideo;
      this.#output.sendReport('video', pts, this.#epochMs + source.timelineMs('video', pts));
    }
    if (this.#sentAudio) {
      const { pts } = this.#sentAudio;
      this.#output.sendReport('audio', pts, this.#epochMs + source.timelineMs('audio', pts));
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    this.#viewerKeyframes.close();
    this.#sourceKeyframes.close();
    this.#audioDelay.clear();
    await Promise.all([this.source.close(), this.#keeper.close()]);
  }

  #takeVideo(frame: CodedVideo): void {
    if (this.#state === 'closed') return;
    this.#arrivals.set(frame.pts, performance.now());
    if (this.#arrivals.size > MAX_TIMED) this.#arrivals.delete(this.#arrivals.keys().next().value!);
    this.#keeper.pushVideo(frame);
  }

  #engineHooks(): Omit<LiveEngineHooks, 'onClosed'> {
    return {
      onVideo: (frame) => this.#sendVideo(frame),
      onAudio: (packet) => this.#delayAudio(packet),
      onKeyframeNeeded: () => this.#sourceKeyframes.request(),
      onStats: (stats) => {
        this.#stats = stats;
        this.#hooks.onEngineStats(stats);
      },
      onFaces: (faces) => this.#hooks.onFaces(faces),
    };
  }

  #sendVideo(frame: Redacted<CodedVideo>): void {
    if (this.#state === 'closed') return;
    // An engine that was started anew may see again what another one has sent, and one that ends what is not wanted now.
    if (frame.pts <= this.#lastPts) {
      this.#late++;
      return;
    }
    this.#lastPts = frame.pts;
    this.#output.sendVideo(frame);
    const now = performance.now();
    const first = this.#sentVideo === null;
    this.#sentVideo = { pts: frame.pts, at: now };
    const arrivedAt = this.#arrivals.get(frame.pts);
    if (arrivedAt !== undefined) {
      this.#arrivals.delete(frame.pts);
      this.latency.add(now - arrivedAt);
    }
    this.#audioDelay.follow(this.source.timelineMs('video', frame.pts));
    if (this.#state === 'starting') {
      this.#state = 'live';
      this.#hooks.onLive();
    }
    if (first) this.sendReports();
  }

  #delayAudio(packet: CodedAudio): void {
    this.#audioDelay.push(packet, this.source.timelineMs('audio', packet.pts));
  }

  #sendAudio(packet: CodedAudio): void {
    // Sound alone is no live stream: it waits for the first picture, so that nobody is heard unseen in another's place.
    if (this.#state !== 'live') return;
    this.#output.sendAudio(packet);
    const now = performance.now();
    this.#sentAudio = { pts: packet.pts, at: now };
    this.#audioLag.add(now - this.source.timelineMs('audio', packet.pts));
  }

  #end(end: SourceEnd, message: string): void {
    if (this.#state === 'draining' || this.#state === 'closed') return;
    this.#state = 'draining';
    this.#hooks.onEnd(end, message);
  }
}
