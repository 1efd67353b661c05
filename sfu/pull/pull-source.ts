import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AudioFormat, VideoCodec } from '../../inference/live/coded-media.ts';
import { SfuError } from '../errors.ts';
import type { MediaSink, MediaSource, SourceCounters, SourceEnd } from '../media-source.ts';
import { PendingMedia } from '../rtmp/pending-media.ts';
import { NativeProcess } from './native-process.ts';
import { PinnedRelay } from './pinned-relay.ts';
import type { PullMessage, PullOrder } from './pull-messages.ts';
import type { RemoteUrl } from './remote-url.ts';

export interface PullSourceOptions {
  readonly url: RemoteUrl;
  /** The checked address of the URL's host. */
  readonly address: string;
  readonly log: Logger;
  readonly openTimeoutMs?: number;
  /** Longest time without a packet. */
  readonly idleTimeoutMs?: number;
}

const OPEN_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 10_000;
const ENTRY = join(import.meta.dirname, 'pull-process.ts');

/**
 * FFmpeg's. What is read to find the streams is kept and comes first, so that it is not `nobuffer`, which would throw
 * the keyframe in it away.
 */
const PROBE = { probesize: '500000', analyzeduration: '1000000', fpsprobesize: '0' };
const FORMATS: Readonly<Record<RemoteUrl['protocol'], Omit<PullOrder, 'url'>>> = {
  // Without udp and rtp in the list nothing but the one connection can be made.
  rtsp: {
    format: 'rtsp',
    options: { ...PROBE, protocol_whitelist: 'tcp', rtsp_transport: 'tcp', allowed_media_types: 'video+audio' },
  },
  rtmp: {
    format: 'flv',
    options: { ...PROBE, protocol_whitelist: 'rtmp,tcp', format_whitelist: 'flv', rtmp_live: 'live' },
  },
};

/** One connection to a pulled URL, demuxed by FFmpeg in a process of its own that is killed at the end. */
export class PullSource implements MediaSource {
  readonly kind = 'pull';
  readonly canRequestKeyframe = false;
  readonly #relay: PinnedRelay;
  readonly #process: NativeProcess;
  readonly #options: PullSourceOptions;
  readonly #pending = new PendingMedia();
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<SourceEnd>();
  #tracks: { readonly video: VideoCodec | null; readonly audio: AudioFormat | null } = { video: null, audio: null };
  #sink: MediaSink | null = null;
  #end: { readonly end: SourceEnd; readonly message: string } | null = null;
  #timer: NodeJS.Timeout;
  #bytes = 0;
  #packets = 0;
  #closing: Promise<void> | undefined;

  private constructor(relay: PinnedRelay, options: PullSourceOptions) {
    this.#relay = relay;
    this.#options = options;
    this.#process = new NativeProcess(ENTRY, {
      onMessage: (message) => this.#told(message as PullMessage),
      onExit: (how, lastWords) => {
        if (!this.#end) options.log.warn({ how, lastWords }, 'the process of a pulled source died');
        this.#ended('failed', 'its process died');
      },
    });
    const openTimeoutMs = options.openTimeoutMs ?? OPEN_TIMEOUT_MS;
    this.#timer = setTimeout(() => this.#ended('failed', `not open after ${openTimeoutMs} ms`), openTimeoutMs);
    const { format, options: ffmpeg } = FORMATS[options.url.protocol];
    const relayed = options.url.through(relay.port);
    this.#process.send({ format, url: relayed.url, options: { ...ffmpeg, ...relayed.options } });
  }

  /** Resolves when it is known what there is. @throws SfuError 'source-unreachable' */
  static async open(options: PullSourceOptions, signal?: AbortSignal): Promise<PullSource> {
    const { url, address, openTimeoutMs: connectTimeoutMs = OPEN_TIMEOUT_MS } = options;
    const relay = await PinnedRelay.open({ protocol: url.protocol, address, port: url.port, connectTimeoutMs });
    const source = new PullSource(relay, options);
    const abort = (): void => source.#ended('requested', 'closed');
    signal?.addEventListener('abort', abort, { once: true });
    try {
      if (signal?.aborted) abort();
      await source.#opened.promise;
      return source;
    } catch (error) {
      await source.#release();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  get video(): VideoCodec | null {
    return this.#tracks.video;
  }

  get audio(): AudioFormat | null {
    return this.#tracks.audio;
  }

  /** Of its process. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Resolves when it ended and its process is gone. */
  get closed(): Promise<SourceEnd> {
    return this.#closed.promise;
  }

  /** Why it ended, or null while it runs. */
  get endMessage(): string | null {
    return this.#end?.message ?? null;
  }

  start(sink: MediaSink): void {
    if (this.#sink) throw new Error('a source starts once');
    this.#sink = sink;
    this.#pending.flushInto(sink);
    if (this.#end) sink.onEnd(this.#end.end, this.#end.message);
  }

  /** Neither protocol has a way to ask. */
  requestKeyframe(): void {}

  timelineMs(kind: 'video' | 'audio', pts: number): number {
    return pts / (kind === 'video' ? 90 : 48);
  }

  /** TCP loses nothing; what the server lost is not told. */
  counters(): SourceCounters {
    return { bytes: this.#bytes, packets: this.#packets, packetsLost: 0 };
  }

  close(): Promise<void> {
    this.#ended('requested', 'closed');
    return this.#release();
  }

  #told(message: PullMessage): void {
    if (this.#end) return;
    this.#timer.refresh();
    const target = this.#sink ?? this.#pending;
    switch (message.type) {
      case 'opened':
        this.#isOpen(message);
        break;
      case 'video':
        this.#count(message.frame.data);
        target.onVideo(message.frame);
        break;
      case 'audio':
        this.#count(message.packet.data);
        target.onAudio(message.packet);
        break;
      case 'loss':
        target.onLoss();
        break;
      case 'ended':
        this.#ended('connection-lost', this.#relay.failure ?? message.message);
    }
  }

  #isOpen({ video, audio, leftOut }: Extract<PullMessage, { type: 'opened' }>): void {
    this.#tracks = { video, audio };
    if (leftOut.length > 0) this.#options.log.warn({ leftOut }, 'tracks of a pulled source are left out');
    const idleTimeoutMs = this.#options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ended('connection-lost', `no media for ${idleTimeoutMs} ms`), idleTimeoutMs);
    this.#opened.resolve();
  }

  #count(data: Uint8Array): void {
    this.#bytes += data.length;
    this.#packets++;
  }

  #ended(end: SourceEnd, message: string): void {
    if (this.#end) return;
    this.#end = { end, message };
    clearTimeout(this.#timer);
    this.#opened.reject(new SfuError('source-unreachable', `${this.#options.url.label}: ${message}`));
    this.#sink?.onEnd(end, message);
    void this.#release();
  }

  #release(): Promise<void> {
    this.#closing ??= Promise.all([this.#process.kill(), this.#relay.close()]).then(() =>
      this.#closed.resolve(this.#end?.end ?? 'requested'),
    );
    return this.#closing;
  }
}
