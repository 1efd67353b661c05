import type { Socket } from 'node:net';
import { parse as parseQuery } from 'node:querystring';
import type { Logger } from 'pino';
import type { MediaSource, SourceEnd } from '../media-source.ts';
import { FlvTracks } from './flv-tracks.ts';
import { PendingMedia } from './pending-media.ts';
import { AUDIO_MESSAGE, oneValue, RtmpEngine, RtmpError } from './rtmp-engine.ts';
import { RtmpSource } from './rtmp-source.ts';

export interface RtmpSessionOptions {
  /** Whether `key` is the stream's; compares in constant time. */
  authorize(streamId: string, key: string): Promise<boolean>;
  /** Somebody authorised publishes. The session ends when it rejects. */
  onPublish(streamId: string, source: MediaSource): Promise<void>;
  readonly log: Logger;
  /** For handshake, publish and its authorisation together. */
  readonly publishTimeoutMs: number;
  /** Longest time without a picture or sound. */
  readonly idleTimeoutMs: number;
  /** How long to look for both picture and sound. */
  readonly probeMs: number;
}

type SessionState = 'handshake' | 'authorising' | 'probing' | 'live' | 'closed';

const APP = 'live';
const STREAM_ID = /^[a-z0-9-]{1,64}$/;
const MAX_KEY_LENGTH = 256;
/** Handshake, connect and publish take about 4 KiB. */
const MAX_BYTES_BEFORE_PUBLISH = 256 << 10;
/** Answers that the peer does not read. */
const MAX_UNSENT_BYTES = 64 << 10;

/** One RTMP connection, from its handshake to the end of its publish. Whatever goes wrong closes this socket only. */
export class RtmpSession {
  readonly #socket: Socket;
  readonly #options: RtmpSessionOptions;
  readonly #engine: RtmpEngine;
  readonly #tracks: FlvTracks;
  readonly #pending = new PendingMedia();
  readonly #closed: Promise<void>;
  #log: Logger;
  #state: SessionState = 'handshake';
  #streamId = '';
  #source: RtmpSource | null = null;
  #timer: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  /** By the publisher's metadata. */
  #announced: { readonly video: boolean; readonly audio: boolean } | null = null;
  #end: { readonly end: SourceEnd; readonly message: string } = {
    end: 'connection-lost',
    message: 'the connection was lost',
  };
  #messages = 0;

  constructor(socket: Socket, options: RtmpSessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#log = options.log;
    this.#tracks = new FlvTracks({
      onVideo: (frame) => (this.#source ?? this.#pending).onVideo(frame),
      onAudio: (packet) => (this.#source ?? this.#pending).onAudio(packet),
      onBroken: () => (this.#source ?? this.#pending).onLoss(),
      onUnknownAudio: (what) => this.#log.warn({ what }, 'the sound is left out: it is not AAC'),
    });
    this.#engine = new RtmpEngine({
      onOutput: (bytes) => this.#send(bytes),
      onPublish: (app, name, query) => this.#asked(app, name, query),
      onMedia: (type, timestampMs, payload) => this.#media(type, timestampMs, payload),
      onMetadata: ({ videocodecid, audiocodecid }) => {
        this.#announced = { video: isCodec(videocodecid), audio: isCodec(audiocodecid) };
      },
      onUnpublish: () => this.#close('publisher-left', 'the publisher left'),
    });
    this.#closed = new Promise((fulfil) => socket.once('close', () => fulfil(this.#ended())));
    this.#timer = setTimeout(
      () => this.#close('failed', `no publish within ${options.publishTimeoutMs} ms`),
      options.publishTimeoutMs,
    );
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#receive(bytes));
    // 'close' follows, and is what ends the session.
    socket.on('error', ({ message }) => this.#log.debug({ message }, 'RTMP socket'));
  }

  /** Resolves when the socket is closed. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  close(): Promise<void> {
    this.#close('requested', 'the server closes');
    return this.#closed;
  }

  #receive(bytes: Buffer): void {
    if (this.#state === 'closed') return;
    try {
      this.#engine.feed(bytes);
      this.#moveOn();
    } catch (error) {
      // The parser throws its own at what it was not made for.
      if (!(error instanceof RtmpError)) this.#log.warn({ err: error }, 'an RTMP connection failed');
      this.#close('failed', error instanceof RtmpError ? error.message : 'what it sent is not RTMP');
    }
    if (this.#state === 'handshake' && this.#socket.bytesRead > MAX_BYTES_BEFORE_PUBLISH) {
      this.#close('failed', 'too much before a publish');
    }
  }

  #send(bytes: Buffer): void {
    if (this.#state === 'closed' || !this.#socket.writable) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) throw new RtmpError('it does not read its answers');
  }

  #asked(app: string, name: string, query: string): void {
    this.#publish(app, name, query).catch((error: unknown) => this.#close('failed', (error as Error).message));
  }

  async #publish(app: string, name: string, query: string): Promise<void> {
    const streamId = name.toLowerCase();
    const key = oneValue(parseQuery(query), 'key');
    this.#state = 'authorising';
    // What follows waits in the socket until the answer is known.
    this.#socket.pause();
    let allowed = false;
    try {
      const isWellFormed = app === APP && STREAM_ID.test(streamId) && key !== null && key.length <= MAX_KEY_LENGTH;
      allowed = isWellFormed && (await this.#options.authorize(streamId, key));
    } catch (error) {
      this.#log.error({ err: error }, 'a publish could not be authorised');
    }
    if (this.#state !== 'authorising') return;
    if (!allowed) {
      this.#engine.refusePublish();
      this.#log.info('RTMP publish refused');
      this.#close('failed', 'the publish was refused');
      return;
    }
    this.#streamId = streamId;
    this.#log = this.#log.child({ streamId });
    this.#state = 'probing';
    this.#engine.acceptPublish();
    clearTimeout(this.#timer);
    const { idleTimeoutMs, probeMs } = this.#options;
    this.#timer = setTimeout(() => this.#close('connection-lost', `no media for ${idleTimeoutMs} ms`), idleTimeoutMs);
    this.#probe = setTimeout(() => this.#handOver(), probeMs);
    this.#socket.resume();
  }

  #media(type: number, timestampMs: number, payload: Buffer): void {
    if (this.#state !== 'probing' && this.#state !== 'live') return;
    this.#messages++;
    this.#timer?.refresh();
    if (type === AUDIO_MESSAGE) this.#tracks.audioTag(timestampMs, payload);
    else this.#tracks.video(timestampMs, payload);
  }

  /** Hands over as soon as all that was announced, or else both, are known. */
  #moveOn(): void {
    if (this.#state !== 'probing') return;
    const { hasVideo, audio, hasUnknownAudio } = this.#tracks;
    if (!hasVideo && !(this.#announced && !this.#announced.video && audio)) return;
    if (audio || hasUnknownAudio || (this.#announced && !this.#announced.audio)) this.#handOver();
  }

  #handOver(): void {
    if (this.#state !== 'probing') return;
    const { hasVideo, audio } = this.#tracks;
    if (!hasVideo && !audio) {
      // The idle timeout ends those that send nothing.
      this.#probe?.refresh();
      return;
    }
    clearTimeout(this.#probe);
    this.#state = 'live';
    const source = new RtmpSource({ video: hasVideo ? 'h264' : null, audio }, this.#pending, {
      counters: () => ({ bytes: this.#socket.bytesRead, packets: this.#messages, packetsLost: 0 }),
      disconnect: () => {
        this.#close('requested', 'closed');
        return this.#closed;
      },
    });
    this.#source = source;
    this.#log.info({ video: source.video, audio: audio?.codec ?? null }, 'RTMP publish started');
    this.#options.onPublish(this.#streamId, source).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'an RTMP publish was not taken');
      this.#close('failed', 'the publish was not taken');
    });
  }

  #close(end: SourceEnd, message: string): void {
    if (this.#state === 'closed') return;
    const wasRefused = this.#state === 'authorising';
    this.#end = { end, message };
    this.#state = 'closed';
    clearTimeout(this.#probe);
    if (this.#source) this.#log.info({ end, message }, 'RTMP publish ended');
    else this.#log.debug({ message }, 'RTMP connection closed');
    this.#source?.end(end, message);
    if (wasRefused) {
      // It is told why, if it reads that before the timer comes.
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#socket.destroy(), this.#options.publishTimeoutMs);
      this.#socket.destroySoon();
      this.#socket.resume();
    } else this.#socket.destroy();
  }

  #ended(): void {
    clearTimeout(this.#timer);
    if (this.#state !== 'closed') this.#close(this.#end.end, this.#end.message);
  }
}

/** A codec id in metadata is a number, or a name; none is 0 or missing. */
function isCodec(value: unknown): boolean {
  return typeof value === 'string' ? value.length > 0 : typeof value === 'number' && value !== 0;
}
