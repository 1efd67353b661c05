import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import { forEachNal } from '../../sfu/rtp/annex-b.ts';

/** ITU-T H.264 table 7-1: nal_unit_type, and the bits that it takes in a unit's first byte. */
const SPS = 7;
const PPS = 8;
const DELIMITER = 9;
const TYPE_BITS = 0x1f;

/** Times are told in tenths of a millisecond: pictures of 30 a second keep theirs to a thousandth of a frame. */
const TICKS_A_MS = 10;
const TICK_NS = 1_000_000 / TICKS_A_MS;
/** A block's time is told from its cluster's, in 16 bits with a sign. */
const MAX_CLUSTER_TICKS = 10_000;
const MAX_BLOCK_TICKS = 0x7fff;

const VIDEO = 1;
const AUDIO = 2;

/** RFC 7845 §5.1: version 1, two channels, nothing to skip, 48 kHz, no gain, channels as they are. */
const OPUS_HEAD = Buffer.from([...Buffer.from('OpusHead'), 1, 2, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0]);
const OPUS_RATE = 48_000;

/** Of elements whose length is told by what comes after them. */
const UNKNOWN_SIZE = Buffer.from([0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);

/**
 * A live stream as Matroska, for FFmpeg to read from a pipe: redacted H.264 and Opus, each as it is, with the times that
 * both share. Nothing is ever sought or written again.
 * @see RFC 9559; RFC 8794 (EBML); ISO/IEC 14496-15 §5.3.3.1 (avcC)
 */
export class MatroskaWriter {
  readonly #write: (bytes: Buffer) => void;
  #clusterTicks: number | null = null;

  /**
   * Writes the header.
   * @param parameterSets SPS and PPS of the pictures to come, in Annex B
   */
  constructor(parameterSets: Uint8Array, write: (bytes: Buffer) => void) {
    this.#write = write;
    write(
      Buffer.concat([
        element(0x1a45dfa3, element(0x4282, Buffer.from('matroska')), number(0x4287, 4), number(0x4285, 2)),
        id(0x18538067),
        UNKNOWN_SIZE,
        element(0x1549a966, number(0x2ad7b1, TICK_NS), text(0x4d80, 'faceblur'), text(0x5741, 'faceblur')),
        element(0x1654ae6b, videoTrack(avcConfig(parameterSets)), audioTrack()),
      ]),
    );
  }

  /** @param timeMs from the start, more than of the picture before */
  video(frame: Redacted<CodedVideo>, timeMs: number): void {
    const ticks = Math.round(timeMs * TICKS_A_MS);
    const isFar = this.#clusterTicks === null || ticks - this.#clusterTicks > MAX_CLUSTER_TICKS;
    if (isFar || frame.isKeyframe) this.#beginCluster(ticks);
    this.#block(VIDEO, ticks, frame.isKeyframe, lengthPrefixed(frame.data));
  }

  /**
   * @param packet Opus
   * @param timeMs from the start
   */
  audio(packet: Pick<CodedAudio, 'data'>, timeMs: number): void {
    const ticks = Math.round(timeMs * TICKS_A_MS);
    if (this.#clusterTicks === null || Math.abs(ticks - this.#clusterTicks) > MAX_BLOCK_TICKS) {
      this.#beginCluster(ticks);
    }
    this.#block(AUDIO, ticks, true, [packet.data]);
  }

  #beginCluster(ticks: number): void {
    this.#clusterTicks = ticks;
    this.#write(Buffer.concat([id(0x1f43b675), UNKNOWN_SIZE, number(0xe7, ticks)]));
  }

  /**
   *     track number (EBML integer) | time from the cluster's s(16) | flags u(8): keyframe is 0x80, no lacing
   */
  #block(track: number, ticks: number, isKeyframe: boolean, data: readonly Uint8Array[]): void {
    const head = Buffer.alloc(4);
    head[0] = 0x80 | track;
    head.writeInt16BE(ticks - this.#clusterTicks!, 1);
    head[3] = isKeyframe ? 0x80 : 0;
    const length = data.reduce((sum, bytes) => sum + bytes.length, head.length);
    this.#write(Buffer.concat([id(0xa3), sizeOf(length), head, ...data]));
  }
}

/** Without the picture's size, which FFmpeg takes from the SPS. */
function videoTrack(config: Buffer): Buffer {
  return element(
    0xae,
    number(0xd7, VIDEO),
    number(0x73c5, VIDEO),
    number(0x83, 1),
    number(0x9c, 0),
    text(0x86, 'V_MPEG4/ISO/AVC'),
    element(0x63a2, config),
  );
}

function audioTrack(): Buffer {
  const rate = Buffer.alloc(8);
  rate.writeDoubleBE(OPUS_RATE);
  return element(
    0xae,
    number(0xd7, AUDIO),
    number(0x73c5, AUDIO),
    number(0x83, 2),
    number(0x9c, 0),
    text(0x86, 'A_OPUS'),
    element(0x63a2, OPUS_HEAD),
    element(0xe1, element(0xb5, rate), number(0x9f, 2)),
  );
}

/** An AVCDecoderConfigurationRecord with lengths of four bytes. */
function avcConfig(parameterSets: Uint8Array): Buffer {
  const sets: { readonly sps: Uint8Array[]; readonly pps: Uint8Array[] } = { sps: [], pps: [] };
  forEachNal(parameterSets, (start, end) => {
    const unit = parameterSets.subarray(start, end);
    const type = unit[0]! & TYPE_BITS;
    if (type === SPS) sets.sps.push(unit);
    else if (type === PPS) sets.pps.push(unit);
  });
  const [first] = sets.sps;
  if (!first || sets.pps.length === 0) throw new RangeError('a first keyframe has its SPS and PPS');
  const listed = (units: readonly Uint8Array[]): Buffer[] =>
    units.map((unit) => Buffer.concat([Buffer.from([unit.length >> 8, unit.length & 0xff]), unit]));
  return Buffer.concat([
    Buffer.from([1, first[1]!, first[2]!, first[3]!, 0xff, 0xe0 | sets.sps.length]),
    ...listed(sets.sps),
    Buffer.from([sets.pps.length]),
    ...listed(sets.pps),
  ]);
}

/** The NAL units of an access unit in Annex B, each behind its length in four bytes. */
function lengthPrefixed(data: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  forEachNal(data, (start, end) => {
    if ((data[start]! & TYPE_BITS) === DELIMITER) return;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(end - start);
    parts.push(length, data.subarray(start, end));
  });
  return parts;
}

function element(name: number, ...content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, bytes) => sum + bytes.length, 0);
  return Buffer.concat([id(name), sizeOf(length), ...content]);
}

function text(name: number, value: string): Buffer {
  return element(name, Buffer.from(value));
}

function number(name: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return element(name, bytes);
}

/** RFC 8794 §5: an id carries its length marker already. */
function id(name: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(name);
  return bytes.subarray(bytes.findIndex((byte) => byte !== 0));
}

/** RFC 8794 §4: always in eight bytes. */
function sizeOf(length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  bytes[0] = 0x01;
  return bytes;
}
