import type { Logger } from 'pino';
import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import { type Lookup, resolvePublicAddress } from '../address-guard.ts';
import { SfuError } from '../errors.ts';
import { Backoff, type BackoffOptions } from '../pull/backoff.ts';
import { RemoteUrl } from '../pull/remote-url.ts';
import { PushConnection, type PushEnd } from './push-connection.ts';

export type PushState = 'connecting' | 'live' | 'waiting' | 'closed';

export interface PushStatus {
  readonly state: PushState;
  /** Why it waits, for people; null when all is well. Holds neither path nor key. */
  readonly reason: string | null;
  /** Whose fault it is that it waits: the target's, or ours. */
  readonly fault: 'target' | 'ours' | null;
}

export interface RtmpPushOptions {
  /** rtmp://host/app/key. Only the host is ever shown. */
  readonly url: string;
  /** ALLOW_PRIVATE_SOURCES */
  readonly allowPrivate: boolean;
  /** Where a picture's or packet's `pts` lies on the timeline that both share, in ms. */
  timelineMs(kind: 'video' | 'audio', pts: number): number;
  /** Nothing can be pushed until a keyframe comes: now, and each time it reconnects or has fallen behind. */
  onKeyframeNeeded(): void;
  onState(status: PushStatus): void;
  readonly log: Logger;
  readonly lookup?: Lookup;
  readonly backoff?: BackoffOptions;
  readonly stallTimeoutMs?: number;
}

const STALL_TIMEOUT_MS = 10_000;

/**
 * Pushes a redacted stream to one RTMP target, and reconnects for as long as it lives. It borrows what it is given,
 * never throws at it and never holds it up: what the target does not take in time is dropped to the next keyframe.
 */
export class RtmpPush {
  readonly #url: RemoteUrl;
  readonly #options: RtmpPushOptions;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  readonly #run: Promise<void>;
  #connection: PushConnection | null = null;
  /** On connections that have ended. */
  #timesDropped = 0;
  #status: PushStatus = { state: 'connecting', reason: null, fault: null };

  private constructor(options: RtmpPushOptions) {
    this.#url = RemoteUrl.parse(options.url, ['rtmp']);
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
    this.#run = this.#keepConnected();
  }

  /** @throws SfuError 'source-refused' when the URL is not rtmp:// */
  static create(options: RtmpPushOptions): RtmpPush {
    return new RtmpPush(options);
  }

  get status(): PushStatus {
    return this.#status;
  }

  /** The target's host, and nothing else of its URL. */
  get host(): string {
    return this.#url.hostname;
  }

  /** Of the process that pushes now. */
  get pid(): number | undefined {
    return this.#connection?.pid;
  }

  /** How often the target was too slow, and what it had missed was dropped up to a keyframe. */
  get timesDropped(): number {
    return this.#timesDropped + (this.#connection?.timesDropped ?? 0);
  }

  /** @param frame H.264, SPS and PPS before each IDR picture, no B-frames; borrowed */
  pushVideo(frame: Redacted<CodedVideo>): void {
    this.#connection?.pushVideo(frame);
  }

  /** @param packet Opus; borrowed */
  pushAudio(packet: CodedAudio): void {
    this.#connection?.pushAudio(packet);
  }

  /** Takes leave of the target. */
  close(): Promise<void> {
    this.#abort.abort();
    return this.#run;
  }

  async #keepConnected(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#abort;
    // Hooks are first called when the caller has what it made.
    await Promise.resolve();
    while (!signal.aborted) {
      this.#tell({ state: 'connecting', reason: null, fault: null });
      let liveAt: number | null = null;
      let end: PushEnd;
      try {
        end = await this.#push(() => {
          liveAt = performance.now();
          log.info({ target: this.host }, 'push is live');
          this.#tell({ state: 'live', reason: null, fault: null });
        });
      } catch (error) {
        const isTargets = error instanceof SfuError;
        if (!isTargets) log.error({ err: error, target: this.host }, 'pushing failed');
        end = isTargets ? { reason: error.message, fault: 'target' } : { reason: 'pushing failed', fault: 'ours' };
      }
      if (signal.aborted) break;
      const waitMs = this.#backoff.next(liveAt === null ? 0 : performance.now() - liveAt);
      log.info({ target: this.host, ...end, waitMs: Math.round(waitMs) }, 'push waits');
      this.#tell({ state: 'waiting', ...end });
      await pause(waitMs, signal);
    }
    this.#tell({ state: 'closed', reason: null, fault: null });
  }

  async #push(onLive: () => void): Promise<PushEnd> {
    const {
      allowPrivate,
      lookup,
      timelineMs,
      onKeyframeNeeded,
      log,
      stallTimeoutMs = STALL_TIMEOUT_MS,
    } = this.#options;
    const { signal } = this.#abort;
    const address = await resolvePublicAddress(this.#url.hostname, { allowPrivate, ...(lookup && { lookup }) });
    if (signal.aborted) return { reason: 'closed', fault: 'ours' };
    const connection = await PushConnection.open({
      url: this.#url,
      address,
      timelineMs,
      onKeyframeNeeded,
      onLive,
      log,
      stallTimeoutMs,
    });
    const close = (): void => void connection.close();
    signal.addEventListener('abort', close, { once: true });
    this.#connection = connection;
    try {
      if (signal.aborted) close();
      return await connection.ended;
    } finally {
      signal.removeEventListener('abort', close);
      this.#timesDropped += connection.timesDropped;
      this.#connection = null;
    }
  }

  #tell(status: PushStatus): void {
    this.#status = status;
    this.#options.onState(status);
  }
}

/** Waits, or less when aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((fulfil) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      fulfil();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
