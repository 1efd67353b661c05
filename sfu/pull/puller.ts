import type { Logger } from 'pino';
import { type Lookup, resolvePublicAddress } from '../address-guard.ts';
import { SfuError } from '../errors.ts';
import type { MediaSource } from '../media-source.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { PullSource } from './pull-source.ts';
import { RemoteUrl } from './remote-url.ts';

/** `paused`: whoever had its source closed it; `resume` goes on. */
export type PullState = 'connecting' | 'live' | 'waiting' | 'paused' | 'closed';

export interface PullerOptions {
  /** rtsp:// or rtmp://. It may hold credentials, which nobody gets to see. */
  readonly url: string;
  /** ALLOW_PRIVATE_SOURCES */
  readonly allowPrivate: boolean;
  /** It is connected; takes the source over. Where it rejects, the source is closed and tried again later. */
  onSource(source: MediaSource): Promise<void>;
  /** @param reason why, for people; null when all is well */
  onState(state: PullState, reason: string | null): void;
  readonly log: Logger;
  readonly lookup?: Lookup;
  readonly backoff?: BackoffOptions;
  readonly openTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
}

/** Keeps a pulled URL connected: each time it is reached, `onSource` gets a new source. */
export class Puller {
  readonly #url: RemoteUrl;
  readonly #options: PullerOptions;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  readonly #run: Promise<void>;
  #wake: (() => void) | undefined;
  #isPaused = false;

  /** @throws SfuError 'source-refused' when it is no such URL */
  constructor(options: PullerOptions) {
    this.#url = RemoteUrl.parse(options.url, ['rtsp', 'rtmp']);
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
    this.#run = this.#keepConnected();
  }

  /** Goes on after its source was closed by whoever had it, e.g. for another publisher that has left by now. */
  resume(): void {
    this.#isPaused = false;
    this.#wake?.();
  }

  /** Closes the source that it connected last, too. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#wake?.();
    await this.#run;
  }

  async #keepConnected(): Promise<void> {
    const { onState, log } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      onState('connecting', null);
      const startedAt = performance.now();
      let reason: string;
      let ranMs = 0;
      try {
        const source = await this.#connect();
        const liveAt = performance.now();
        reason = await this.#serve(source);
        ranMs = performance.now() - liveAt;
      } catch (error) {
        // What SfuErrors say is for people; anything else is ours.
        if (!(error instanceof SfuError)) log.error({ err: error }, 'pulling failed');
        reason = error instanceof SfuError ? error.message : 'pulling failed';
      }
      if (signal.aborted) break;
      if (this.#isPaused) {
        onState('paused', reason);
        await this.#woken(null);
        continue;
      }
      const waitMs = this.#backoff.next(ranMs);
      log.info(
        {
          source: this.#url.label,
          reason,
          waitMs: Math.round(waitMs),
          ranMs,
          tookMs: Math.round(performance.now() - startedAt),
        },
        'pull waits',
      );
      onState('waiting', reason);
      await this.#woken(waitMs);
    }
    onState('closed', null);
  }

  async #connect(): Promise<PullSource> {
    const { allowPrivate, lookup, log, openTimeoutMs, idleTimeoutMs } = this.#options;
    const address = await resolvePublicAddress(this.#url.hostname, { allowPrivate, ...(lookup && { lookup }) });
    const timeouts = { ...(openTimeoutMs && { openTimeoutMs }), ...(idleTimeoutMs && { idleTimeoutMs }) };
    return await PullSource.open({ url: this.#url, address, log, ...timeouts }, this.#abort.signal);
  }

  /** @returns why it ended */
  async #serve(source: PullSource): Promise<string> {
    const { onSource, onState, log } = this.#options;
    const { signal } = this.#abort;
    const close = (): void => void source.close();
    signal.addEventListener('abort', close, { once: true });
    let refused = false;
    try {
      if (signal.aborted) close();
      log.info({ source: this.#url.label, video: source.video, audio: source.audio?.codec ?? null }, 'pull started');
      onState('live', null);
      await onSource(source).catch((error: unknown) => {
        refused = true;
        log.warn({ err: error }, 'a pulled source was not taken');
        return source.close();
      });
      const end = await source.closed;
      this.#isPaused = end === 'requested' && !refused && !signal.aborted;
      return refused ? 'the stream did not take it' : (source.endMessage ?? 'it ended');
    } finally {
      signal.removeEventListener('abort', close);
    }
  }

  async #woken(ms: number | null): Promise<void> {
    if (this.#abort.signal.aborted) return;
    await new Promise<void>((fulfil) => {
      const timer = ms === null ? undefined : setTimeout(fulfil, ms);
      this.#wake = () => {
        clearTimeout(timer);
        fulfil();
      };
    });
    this.#wake = undefined;
  }
}
