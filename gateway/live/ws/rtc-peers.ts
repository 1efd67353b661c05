import type { types } from 'mediasoup';
import type { RtcPeer } from '../../../sfu/stream-types.ts';
import { GatewayError } from '../../errors.ts';
import { demand, type Grant } from '../access.ts';
import type { Streams } from '../streams.ts';
import type { MessageOf } from './messages.ts';
import type { ServerEvent } from './subscriptions.ts';

/** Ids of parts that are remembered; those of parts that ended long ago are forgotten first. */
const MAX_PARTS = 128;

export interface RtcPeersOptions {
  readonly streams: Streams;
  readonly grant: () => Grant;
  readonly tell: (event: ServerEvent, droppable: boolean) => void;
  /** Whether operators may watch what comes in, not blurred. */
  readonly rawPreview: boolean;
  readonly maxPeers: number;
}

interface Part {
  readonly stream: string;
  readonly peer: RtcPeer;
}

/**
 * The WebRTC side of one connection: at most one peer a stream, ended with the connection. What a client names is
 * looked up among its own parts alone.
 */
export class RtcPeers {
  readonly #options: RtcPeersOptions;
  readonly #peers = new Map<string, RtcPeer>();
  readonly #parts = new Map<string, Part>();
  #closed = false;

  constructor(options: RtcPeersOptions) {
    this.#options = options;
  }

  capabilities({ stream }: MessageOf<'rtc.capabilities'>): Record<string, unknown> {
    return { rtpCapabilities: this.#peer(stream).capabilities };
  }

  async createTransport(message: MessageOf<'rtc.createTransport'>): Promise<Record<string, unknown>> {
    const { stream, direction, raw } = message;
    // Whoever sends shows the stream's key when it produces.
    if (direction === 'recv') this.#demandView(stream, raw);
    const peer = this.#peer(stream);
    const transport = await peer.createTransport(direction, raw);
    this.#remember(transport.id, { stream, peer });
    return { transport };
  }

  async connect({ transport, dtlsParameters }: MessageOf<'rtc.connect'>): Promise<void> {
    await this.#part(transport).peer.connect(transport, dtlsParameters);
  }

  async produce(message: MessageOf<'rtc.produce'>): Promise<Record<string, unknown>> {
    const { transport, kind, rtpParameters, key } = message;
    const { stream, peer } = this.#part(transport);
    if (!this.#options.streams.verifyKey(stream, key)) {
      throw new GatewayError('unauthorized', 'this is not the key of the stream');
    }
    // The shapes are checked; which header extensions there are is mediasoup's to know.
    const producer = await peer.produce(transport, kind, rtpParameters as types.RtpParameters);
    this.#remember(producer, { stream, peer });
    return { producer };
  }

  async consume(message: MessageOf<'rtc.consume'>): Promise<Record<string, unknown>> {
    const { stream, kind, rtpCapabilities, raw } = message;
    this.#demandView(stream, raw);
    const peer = this.#peer(stream);
    const consumer = await peer.consume(kind, rtpCapabilities as types.RtpCapabilities, raw);
    this.#remember(consumer.id, { stream, peer });
    return { consumer };
  }

  async resume({ consumer }: MessageOf<'rtc.resume'>): Promise<void> {
    await this.#part(consumer).peer.resume(consumer);
  }

  async closePart({ transport, producer, consumer, stream }: MessageOf<'rtc.close'>): Promise<void> {
    if (stream !== undefined) {
      const peer = this.#peers.get(stream);
      if (!peer) throw new GatewayError('not-found', 'this connection is no peer of that stream');
      this.#forget(stream, peer);
      await peer.close();
      return;
    }
    const id = (transport ?? producer ?? consumer)!;
    await this.#part(id).peer.closePart(id);
    this.#parts.delete(id);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const peers = [...this.#peers.values()];
    this.#peers.clear();
    this.#parts.clear();
    await Promise.all(peers.map((peer) => peer.close()));
  }

  #demandView(stream: string, raw: boolean): void {
    this.#options.streams.get(stream);
    demand(this.#options.grant(), 'play', stream);
    if (!raw) return;
    if (!this.#options.rawPreview) throw new GatewayError('forbidden', 'raw preview is off');
    demand(this.#options.grant(), 'operate', stream);
  }

  #peer(stream: string): RtcPeer {
    if (this.#closed) throw new GatewayError('closed', 'the connection is closed');
    const known = this.#peers.get(stream);
    if (known) return known;
    const { live } = this.#options.streams.get(stream);
    if (this.#peers.size >= this.#options.maxPeers) {
      throw new GatewayError('too-many', `a connection may be a peer of ${this.#options.maxPeers} streams`);
    }
    const peer = live.createPeer();
    this.#peers.set(stream, peer);
    peer.onClosed((reason) => {
      if (this.#peers.get(stream) !== peer) return;
      this.#forget(stream, peer);
      this.#options.tell({ type: 'rtc.closed', stream, reason }, false);
    });
    peer.onTransportClosed((transport, reason) => {
      this.#parts.delete(transport);
      this.#options.tell({ type: 'rtc.closed', stream, transport, reason }, false);
    });
    return peer;
  }

  #part(id: string): Part {
    const part = this.#parts.get(id);
    if (!part) throw new GatewayError('not-found', 'this connection has nothing by that id');
    return part;
  }

  #remember(id: string, part: Part): void {
    if (this.#peers.get(part.stream) !== part.peer) throw new GatewayError('closed', 'the stream or connection ended');
    this.#parts.set(id, part);
    if (this.#parts.size > MAX_PARTS) this.#parts.delete(this.#parts.keys().next().value!);
  }

  #forget(stream: string, peer: RtcPeer): void {
    this.#peers.delete(stream);
    for (const [id, part] of this.#parts) if (part.peer === peer) this.#parts.delete(id);
  }
}
