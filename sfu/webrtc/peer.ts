import { randomUUID } from 'node:crypto';
import type { types } from 'mediasoup';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { SfuError } from '../errors.ts';
import type { MediaSource } from '../media-source.ts';
import type { RtcPeer, RtcTransportParameters } from '../stream-types.ts';
import type { Audience } from '../view/audience.ts';
import type { Viewer } from '../view/viewer.ts';
import type { Workers } from '../workers.ts';
import { IngestRoom } from './ingest-room.ts';
import { WebRtcSource } from './webrtc-source.ts';

export interface PeerOptions {
  readonly workers: Workers;
  /** Those who watch now. @throws SfuError 'not-live' */
  readonly audience: () => Audience;
  readonly publish: (source: MediaSource) => Promise<void>;
  /** What comes in now, for RAW_PREVIEW. */
  readonly rawSource: () => MediaSource | null;
  readonly onClose: () => void;
}

const VIEWER_CONSENT_TIMEOUT_S = 10;

interface SendSide {
  readonly room: IngestRoom;
  readonly transport: types.WebRtcTransport;
  readonly producers: Map<string, types.Producer>;
  source: WebRtcSource | null;
}

/** One mediasoup-client on one stream: at most one transport to send, one to watch, one to watch raw. */
export class Peer implements RtcPeer {
  readonly id = randomUUID();
  readonly #options: PeerOptions;
  readonly #listeners = new Set<(reason: string) => void>();
  readonly #transportListeners = new Set<(transport: string, reason: string) => void>();
  readonly #consumers = new Map<string, types.Consumer>();
  #send: SendSide | null = null;
  #viewer: Viewer | null = null;
  #raw: { transport: types.WebRtcTransport; source: WebRtcSource } | null = null;
  #making = false;
  #closed = false;

  constructor(options: PeerOptions) {
    this.#options = options;
  }

  get capabilities(): types.RtpCapabilities {
    return this.#options.workers.capabilities;
  }

  async createTransport(direction: 'send' | 'recv', raw = false): Promise<RtcTransportParameters> {
    this.#mustBeOpen();
    if (this.#making) throw new SfuError('too-many', 'another transport is being made');
    this.#making = true;
    try {
      const transport = await (direction === 'send' ? this.#openSend() : raw ? this.#openRaw() : this.#openRecv());
      if (this.#closed) transport.close();
      this.#mustBeOpen();
      const { id, iceParameters, iceCandidates, dtlsParameters } = transport;
      return { id, iceParameters, iceCandidates, dtlsParameters };
    } finally {
      this.#making = false;
    }
  }

  async connect(transport: string, dtlsParameters: types.DtlsParameters): Promise<void> {
    const found = this.#transport(transport);
    if (!found) throw new SfuError('not-found', 'there is no such transport');
    await refusable(found.connect({ dtlsParameters }));
  }

  async produce(transport: string, kind: types.MediaKind, rtpParameters: types.RtpParameters): Promise<string> {
    this.#mustBeOpen();
    const send = this.#send;
    if (!send || send.transport.id !== transport) throw new SfuError('not-found', 'there is no such transport to send');
    const producers = [...send.producers.values()];
    if (producers.some((producer) => producer.kind === kind)) {
      throw new SfuError('too-many', `it sends ${kind} already; close that first`);
    }
    const producer = await refusable(send.transport.produce({ kind, rtpParameters, keyFrameRequestDelay: 250 }));
    send.producers.set(producer.id, producer);
    producer.observer.once('close', () => send.producers.delete(producer.id));
    try {
      if (kind === 'video') await this.#publish(send, producer);
      else if (send.source) await send.source.addAudio(producer);
      return producer.id;
    } catch (error) {
      producer.close();
      throw error;
    }
  }

  async consume(
    kind: types.MediaKind,
    rtpCapabilities: types.RtpCapabilities,
    raw = false,
  ): Promise<{ id: string; producerId: string; kind: types.MediaKind; rtpParameters: types.RtpParameters }> {
    this.#mustBeOpen();
    const consumer = raw ? await this.#consumeRaw(kind, rtpCapabilities) : await this.#consume(kind, rtpCapabilities);
    this.#consumers.set(consumer.id, consumer);
    consumer.observer.once('close', () => this.#consumers.delete(consumer.id));
    const { id, producerId, rtpParameters } = consumer;
    return { id, producerId, kind, rtpParameters };
  }

  async resume(consumer: string): Promise<void> {
    const found = this.#consumers.get(consumer);
    if (!found) throw new SfuError('not-found', 'there is no such consumer');
    await found.resume();
  }

  async closePart(id: string): Promise<void> {
    const part = this.#transport(id) ?? this.#consumers.get(id) ?? this.#send?.producers.get(id);
    if (!part) throw new SfuError('not-found', 'there is nothing by this id');
    const isPicture = this.#send?.producers.get(id)?.kind === 'video';
    if (part === this.#send?.transport || isPicture) this.#endSend('publisher-left', 'the publisher left');
    else part.close();
  }

  async close(): Promise<void> {
    this.#end('closed');
  }

  onClosed(listener: (reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onTransportClosed(listener: (transport: string, reason: string) => void): () => void {
    this.#transportListeners.add(listener);
    return () => this.#transportListeners.delete(listener);
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endSend('publisher-left', 'the publisher left');
    this.#viewer?.close();
    this.#raw?.transport.close();
    this.#options.onClose();
    for (const listener of this.#listeners) listener(reason);
    this.#listeners.clear();
    this.#transportListeners.clear();
  }

  async #openSend(): Promise<types.WebRtcTransport> {
    if (this.#send) throw new SfuError('too-many', 'it has a transport to send already');
    const room = await IngestRoom.create(this.#options.workers.pick());
    try {
      const transport = await room.createTransport();
      const send: SendSide = { room, transport, producers: new Map(), source: null };
      this.#send = send;
      transport.on('icestatechange', (state) => {
        if (state === 'disconnected') this.#endSend('connection-lost', 'the connection was lost');
      });
      transport.on('dtlsstatechange', (state) => {
        if (state === 'closed') this.#endSend('publisher-left', 'the publisher left');
        if (state === 'failed') this.#endSend('connection-lost', 'the connection failed');
      });
      room.router.observer.once('close', () => {
        if (this.#send !== send) return;
        this.#send = null;
        this.#tellClosed(transport, 'the publish ended');
      });
      return transport;
    } catch (error) {
      room.close();
      throw error;
    }
  }

  async #openRecv(): Promise<types.WebRtcTransport> {
    if (this.#viewer) throw new SfuError('too-many', 'it has a transport to watch already');
    const viewer = await this.#options.audience().enter(null, VIEWER_CONSENT_TIMEOUT_S);
    this.#viewer = viewer;
    viewer.transport.on('icestatechange', (state) => state === 'disconnected' && viewer.close());
    viewer.transport.on('dtlsstatechange', (state) => state === 'closed' && viewer.close());
    viewer.transport.on('routerclose', () => this.#viewingEnded(viewer.transport));
    viewer.transport.observer.once('close', () => {
      if (this.#viewer === viewer) this.#viewer = null;
    });
    return viewer.transport;
  }

  async #openRaw(): Promise<types.WebRtcTransport> {
    if (this.#raw) throw new SfuError('too-many', 'it has a transport to preview already');
    const source = this.#options.rawSource();
    if (!(source instanceof WebRtcSource)) throw new SfuError('not-live', 'no WebRTC publisher is there to preview');
    const transport = await source.room.createTransport();
    this.#raw = { transport, source };
    transport.on('routerclose', () => this.#tellClosed(transport, 'the publish ended'));
    transport.observer.once('close', () => {
      if (this.#raw?.transport === transport) this.#raw = null;
    });
    return transport;
  }

  async #consume(kind: types.MediaKind, rtpCapabilities: types.RtpCapabilities): Promise<types.Consumer> {
    if (!this.#viewer) throw new SfuError('not-found', 'it has no transport to watch; create one first');
    return this.#viewer.consume(kind, rtpCapabilities);
  }

  async #consumeRaw(kind: types.MediaKind, rtpCapabilities: types.RtpCapabilities): Promise<types.Consumer> {
    if (!this.#raw) throw new SfuError('not-found', 'it has no transport to preview; create one first');
    const producerId = this.#raw.source.producerId(kind);
    if (!producerId) throw new SfuError('not-found', `the publisher sends no ${kind}`);
    return refusable(this.#raw.transport.consume({ producerId, rtpCapabilities, paused: true }));
  }

  async #publish(send: SendSide, producer: types.Producer): Promise<void> {
    const source = await WebRtcSource.create(send.room, producer, codecOf(producer));
    send.source = source;
    const audio = [...send.producers.values()].find(({ kind }) => kind === 'audio');
    if (audio) await source.addAudio(audio);
    await this.#options.publish(source);
  }

  #endSend(end: 'publisher-left' | 'connection-lost', message: string): void {
    const send = this.#send;
    if (!send) return;
    this.#send = null;
    if (send.source) send.source.end(end, message);
    else send.room.close();
  }

  #transport(id: string): types.WebRtcTransport | undefined {
    return [this.#send?.transport, this.#viewer?.transport, this.#raw?.transport].find((t) => t?.id === id);
  }

  /** What it sends goes on. */
  #viewingEnded(transport: types.WebRtcTransport): void {
    if (this.#send && !this.#send.room.worker.died) this.#tellClosed(transport, 'the stream ended');
    else this.#end('the stream ended');
  }

  /** A transport that mediasoup closes sends nothing any more, not even that: browsers take 15 s to find out. */
  #tellClosed({ id }: types.WebRtcTransport, reason: string): void {
    for (const listener of this.#transportListeners) listener(id, reason);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new SfuError('closed', 'the connection has ended');
  }
}

function codecOf(producer: types.Producer): VideoCodec {
  return producer.rtpParameters.codecs[0]!.mimeType.toLowerCase() === 'video/vp8' ? 'vp8' : 'h264';
}

/** mediasoup refuses parameters that don't fit by throwing what is not ours. */
async function refusable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new SfuError('bad-parameters', 'the media server refused these parameters', { cause });
  }
}
