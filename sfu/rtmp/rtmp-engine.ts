import { createRequire } from 'node:module';
import type { ParsedUrlQuery } from 'node:querystring';

/** What of node-media-server's RTMP engine is driven here. It is CommonJS without types. */
interface Engine {
  streamApp: unknown;
  streamId: number;
  inChunkSize: number;
  ackSize?: number;
  flv: unknown;
  parserPacket: {
    readonly header: { readonly fmt: number; length: number; type: number; readonly stream_id: number };
    clock: number;
    payload: Buffer;
    capacity: number;
    bytes: number;
  };
  readonly inPackets: ReadonlyMap<number, { readonly capacity: number }>;
  onOutputCallback: (bytes: Buffer) => void;
  parserData(bytes: Buffer): string | null;
  packetParse(): void;
  packetAlloc(): void;
  controlHandler(): void;
  invokeHandler(): void;
  dataHandler(): void;
  onConnect(message: { transId: unknown; cmdObj: object }): void;
  respondCreateStream(transactionId: unknown): void;
  sendACK(bytes: number): void;
  sendStatusMessage(streamId: number, level: 'status' | 'error', code: string, description: string): void;
}

interface Amf {
  amf0DecodeOne(bytes: Buffer): { readonly len: number; readonly value: unknown } | null;
}

const require = createRequire(import.meta.url);
const EngineBase = require('node-media-server/src/protocol/rtmp.js') as new () => Engine;
const amf = require('node-media-server/src/protocol/amf.js') as Amf;
// It prints commands, in which stream keys ride. One logger serves the whole package.
const logger = require('node-media-server/src/core/logger.js') as { log: (message: string) => void };
logger.log = () => undefined;

/** Message types (RTMP 1.0 §5.4, §7.1). */
const SET_CHUNK_SIZE = 1;
const WINDOW_ACKNOWLEDGEMENT_SIZE = 5;
export const AUDIO_MESSAGE = 8;
export const VIDEO_MESSAGE = 9;
const AMF0_DATA = 18;
const AMF3_COMMAND = 17;

/** Encoders use five; each can hold a message. */
const MAX_CHUNK_STREAMS = 16;
/** A coded picture; a 4K keyframe is below 2 MiB. */
const MAX_MEDIA_BYTES = 8 << 20;
const MAX_COMMAND_BYTES = 32 << 10;
/** Of all chunk streams' messages together. */
const MAX_BUFFERED_BYTES = 20 << 20;
/** RTMP 1.0 §5.4.1: sizes above the greatest message's are equivalent. */
const MAX_CHUNK_BYTES = 0xffffff;
const MAX_COMMAND_VALUES = 8;
const MIN_ACKNOWLEDGEMENT_WINDOW = 64 << 10;

/** What a client did against the protocol, its limits or our rules; it ends the connection. */
export class RtmpError extends Error {
  override readonly name = 'RtmpError';
}

/** What the connection asks for. */
export interface RtmpHooks {
  /** Bytes for the peer. */
  onOutput(bytes: Buffer): void;
  /** Wants to publish `name` (its query cut off) into `app`; answered by `acceptPublish` or `refusePublish`. */
  onPublish(app: string, name: string, query: string): void;
  /** An audio or video message. @param payload borrowed: the parser writes over it. @param timestampMs of 32 bits */
  onMedia(type: number, timestampMs: number, payload: Buffer): void;
  /** The publisher's metadata, e.g. `videocodecid`. */
  onMetadata(metadata: Readonly<Record<string, unknown>>): void;
  /** The publisher says that it stops. */
  onUnpublish(): void;
}

/**
 * The server's side of one RTMP connection: node-media-server's parser and answers, within bounds, and without its
 * relay. There is no play. `feed` throws on whatever the protocol, a bound or the parser itself does not stand.
 */
export class RtmpEngine extends EngineBase {
  readonly #hooks: RtmpHooks;
  /** Set while media may come: before, it is not even looked at. */
  mediaAllowed = false;
  #publishAsked = false;
  #receivedBytes = 0;
  #acknowledgedBytes = 0;

  constructor(hooks: RtmpHooks) {
    super();
    this.#hooks = hooks;
    // A megabyte for FLV files, which nobody reads here.
    this.flv = null;
    this.onOutputCallback = (bytes) => hooks.onOutput(bytes);
  }

  /** @throws RtmpError, or whatever the parser throws */
  feed(bytes: Buffer): void {
    this.#receivedBytes += bytes.length;
    const failure = this.parserData(bytes);
    if (failure !== null) throw new RtmpError(failure);
    const window = this.ackSize ?? 0;
    if (
      window > 0 &&
      this.#receivedBytes - this.#acknowledgedBytes >= Math.max(window / 2, MIN_ACKNOWLEDGEMENT_WINDOW)
    ) {
      this.#acknowledgedBytes = this.#receivedBytes;
      // RTMP 1.0 §5.4.3: the sequence number is of 32 bits.
      this.sendACK(this.#receivedBytes % 2 ** 32);
    }
  }

  acceptPublish(): void {
    this.mediaAllowed = true;
    this.sendStatusMessage(this.streamId, 'status', 'NetStream.Publish.Start', 'Publishing.');
  }

  refusePublish(): void {
    this.sendStatusMessage(this.streamId, 'error', 'NetStream.Publish.BadName', 'Refused.');
  }

  override packetParse(): void {
    super.packetParse();
    // A new length in mid-message would no longer fit the buffer that was made for it.
    if (this.parserPacket.bytes > 0 && this.parserPacket.header.fmt !== 3) {
      throw new RtmpError('a header inside a message');
    }
    if (this.inPackets.size > MAX_CHUNK_STREAMS) throw new RtmpError('too many chunk streams');
  }

  override packetAlloc(): void {
    const packet = this.parserPacket;
    const isMedia = packet.header.type === AUDIO_MESSAGE || packet.header.type === VIDEO_MESSAGE;
    const limit = isMedia && this.mediaAllowed ? MAX_MEDIA_BYTES : MAX_COMMAND_BYTES;
    if (packet.header.length > limit) throw new RtmpError(`a message of ${packet.header.length} bytes`);
    // Deltas add up beyond 32 bits, where the parser would drop every message.
    packet.clock %= 2 ** 32;
    super.packetAlloc();
    let buffered = 0;
    for (const { capacity } of this.inPackets.values()) buffered += capacity;
    if (buffered > MAX_BUFFERED_BYTES) throw new RtmpError('too much in unfinished messages');
  }

  override controlHandler(): void {
    const { header, payload } = this.parserPacket;
    if (header.type === SET_CHUNK_SIZE || header.type === WINDOW_ACKNOWLEDGEMENT_SIZE) {
      if (header.length < 4) throw new RtmpError('a control message cut short');
      const value = payload.readUInt32BE();
      // Zero would never get the parser out of a message (RTMP 1.0 §5.4.1: 1 at least, the first bit 0).
      if (header.type === WINDOW_ACKNOWLEDGEMENT_SIZE) this.ackSize = value;
      else if (value < 1 || value > 0x7fffffff) throw new RtmpError('a bad chunk size');
      else this.inChunkSize = Math.min(value, MAX_CHUNK_BYTES);
    }
  }

  override invokeHandler(): void {
    const { header, payload } = this.parserPacket;
    const [command, transId, object, name] = readValues(
      payload.subarray(header.type === AMF3_COMMAND ? 1 : 0, header.length),
    );
    switch (command) {
      case 'connect':
        this.#connect(transId, object);
        break;
      case 'createStream':
        this.respondCreateStream(transId);
        break;
      case 'publish':
        this.#publish(name);
        break;
      case 'play':
      case 'play2':
        throw new RtmpError('nothing is played here');
      case 'deleteStream':
      case 'closeStream':
      case 'FCUnpublish':
        if (this.#publishAsked) this.#hooks.onUnpublish();
        break;
      default:
      // releaseStream, FCPublish and the like need no answer.
    }
  }

  override dataHandler(): void {
    if (!this.mediaAllowed) return;
    const { header, payload, clock } = this.parserPacket;
    const message = payload.subarray(0, header.length);
    if (header.type === AUDIO_MESSAGE || header.type === VIDEO_MESSAGE) {
      this.#hooks.onMedia(header.type, clock, message);
    } else if (header.type === AMF0_DATA) {
      const metadata = readValues(message).find((value) => typeof value === 'object' && value !== null);
      if (metadata) this.#hooks.onMetadata(metadata as Record<string, unknown>);
    }
  }

  #connect(transId: unknown, object: unknown): void {
    if (typeof object !== 'object' || object === null) throw new RtmpError('a connect without its object');
    const { app, tcUrl, objectEncoding } = object as Record<string, unknown>;
    if (typeof app !== 'string' || typeof tcUrl !== 'string' || !URL.canParse(tcUrl)) {
      throw new RtmpError('a connect without app and tcUrl');
    }
    const encoding = typeof objectEncoding === 'number' ? objectEncoding : 0;
    this.onConnect({ transId, cmdObj: { app, tcUrl, objectEncoding: encoding } });
  }

  #publish(name: unknown): void {
    if (this.#publishAsked) throw new RtmpError('a second publish on one connection');
    if (typeof this.streamApp !== 'string' || typeof name !== 'string') throw new RtmpError('a publish out of order');
    this.#publishAsked = true;
    this.streamId = this.parserPacket.header.stream_id;
    const [stream = '', query = ''] = name.split('?', 2);
    this.#hooks.onPublish(this.streamApp, stream, query);
  }
}

/** The one value of a parameter, or null where it is missing or given twice. */
export function oneValue(query: ParsedUrlQuery, name: string): string | null {
  const value = query[name];
  return typeof value === 'string' ? value : null;
}

function readValues(bytes: Buffer): unknown[] {
  const values: unknown[] = [];
  for (let rest = bytes; rest.length > 0 && values.length < MAX_COMMAND_VALUES; ) {
    const one = amf.amf0DecodeOne(rest);
    if (!one || !(one.len > 0)) throw new RtmpError('a value that is not AMF0');
    values.push(one.value);
    rest = rest.subarray(one.len);
  }
  return values;
}
