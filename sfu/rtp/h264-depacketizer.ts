import type { CodedVideo } from '../../inference/live/coded-media.ts';
import { START_CODE } from './annex-b.ts';
import type { PayloadFormat, PayloadVerdict } from './depacketizer.ts';
import type { FramePieces } from './frame-pieces.ts';
import { NAL, readGolomb } from './h264-nal.ts';
import { ParameterSets } from './h264-parameter-sets.ts';

/** Start code and header byte of a fragmented unit, for every value of that byte. */
const UNIT_STARTS = Buffer.concat(Array.from({ length: 256 }, (_, header) => [...START_CODE, header]).map(Buffer.from));
const UNIT_START_BYTES = START_CODE.length + 1;

/** Longest SPS or PPS that is put together out of fragments, in fragments. */
const MAX_SET_FRAGMENTS = 8;

const REFERENCE_BITS = 0x60;
const TYPE_BITS = 0x1f;
const FORBIDDEN_BIT = 0x80;

/**
 * H.264 in RTP, non-interleaved mode: single units, STAP-A and FU-A. STAP-B, MTAPs and FU-B belong to interleaved mode,
 * which we never offer, and are refused.
 *
 *     +---------------+
 *     |0|1|2|3|4|5|6|7|
 *     +-+-+-+-+-+-+-+-+
 *     |F|NRI|  Type   |   1–23: the payload is this unit; 24: STAP-A; 28: FU-A
 *     +---------------+
 *
 * Slices, SPS and PPS are kept; delimiters, SEI, filler and all else a decoder can do without is left out.
 *
 * @see RFC 6184 §5
 */
export class H264Payloads implements PayloadFormat {
  readonly marksEveryFrame = false;
  readonly #sets = new ParameterSets();
  readonly #idrPictureSets = new Set<number>();
  #hasIdr = false;
  #hasOther = false;
  /** Header byte of the unit whose fragments are coming, or −1. */
  #fragmented = -1;
  readonly #setFragments: Buffer[] = [];

  beginsFrame(payload: Buffer): boolean {
    let type = payload[0] & TYPE_BITS;
    if (type === NAL.stapA && payload.length > 3) type = payload[3] & TYPE_BITS;
    // 7.4.1.2.3: these come first in an access unit, so that no slice of it can have gone before.
    return type === NAL.sps || type === NAL.delimiter;
  }

  add(payload: Buffer, isFirst: boolean, _keyframeOnly: boolean, pieces: FramePieces): PayloadVerdict {
    if (isFirst) this.#begin();
    const header = payload[0];
    const type = header & TYPE_BITS;
    if ((header & FORBIDDEN_BIT) !== 0) return 'malformed';
    // §5.8: no other packet between the fragments of a unit.
    if (this.#fragmented >= 0 && type !== NAL.fuA) return 'malformed';
    let isWell = false;
    if (type === NAL.fuA) isWell = this.#addFragment(payload, pieces);
    else if (type === NAL.stapA) isWell = this.#addAggregate(payload, pieces);
    else if (type > 0 && type < NAL.firstOfRtp) isWell = this.#addUnit(payload, 0, payload.length, pieces);
    return isWell ? 'taken' : 'malformed';
  }

  finish(pts: number, keyframeOnly: boolean, pieces: FramePieces): CodedVideo | 'nothing' | 'unwanted' | 'malformed' {
    if (this.#fragmented >= 0) return 'malformed';
    if (!this.#hasIdr && !this.#hasOther) return 'nothing';
    // 7.4.1.2.4: if one slice of a picture is of an IDR picture, all are.
    if (this.#hasIdr && this.#hasOther) return 'malformed';
    if (!this.#hasIdr) return keyframeOnly ? 'unwanted' : { data: pieces.join(), pts, isKeyframe: false };
    const missing = this.#sets.missing(this.#idrPictureSets);
    return missing === null ? 'malformed' : { data: pieces.join(missing), pts, isKeyframe: true };
  }

  #begin(): void {
    this.#sets.beginAccessUnit();
    if (this.#hasIdr) this.#idrPictureSets.clear();
    this.#hasIdr = false;
    this.#hasOther = false;
    this.#fragmented = -1;
    this.#setFragments.length = 0;
  }

  /** A whole unit. @returns false where it is malformed, or too much */
  #addUnit(buffer: Buffer, start: number, end: number, pieces: FramePieces): boolean {
    const header = buffer[start];
    const type = header & TYPE_BITS;
    if ((header & FORBIDDEN_BIT) !== 0 || type === 0 || type >= NAL.firstOfRtp) return false;
    if (type === NAL.sps || type === NAL.pps) {
      if (!this.#sets.remember(buffer, start, end)) return false;
    } else if (type <= NAL.idrSlice) {
      if (!this.#beginSlice(type, buffer, start, end)) return false;
    } else {
      return true;
    }
    return pieces.append(START_CODE, 0, START_CODE.length) && pieces.append(buffer, start, end);
  }

  /** `start` is where the byte before the slice's header lies. */
  #beginSlice(type: number, buffer: Buffer, start: number, end: number): boolean {
    // Data partitions (2–4) are of the extended profile, which nobody offers.
    if ((type !== NAL.slice && type !== NAL.idrSlice) || end - start < 2) return false;
    // first_mb_in_slice, ue(v), is 0 in the first slice of a picture: else the slices before it are not there.
    const isFirst = !this.#hasIdr && !this.#hasOther;
    if (isFirst && (buffer[start + 1] & 0x80) === 0) return false;
    if (type === NAL.slice) {
      this.#hasOther = true;
      return true;
    }
    this.#hasIdr = true;
    // 7.3.3: first_mb_in_slice, slice_type, pic_parameter_set_id.
    const pictureSet = readGolomb(buffer, start, end, 0, 3)?.[2];
    if (pictureSet === undefined || pictureSet > 255) return false;
    this.#idrPictureSets.add(pictureSet);
    return true;
  }

  /**
   * STAP-A, §5.7.1: its header byte, then units, each behind its size in 16 bits.
   *
   *      0                   1                   2                   3
   *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
   *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   *     |STAP-A NAL HDR |         NALU 1 Size           | NALU 1 HDR    |
   *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   *     |                         NALU 1 Data                           |
   *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   */
  #addAggregate(payload: Buffer, pieces: FramePieces): boolean {
    let at = 1;
    do {
      if (at + 2 > payload.length) return false;
      const start = at + 2;
      const end = start + ((payload[at] << 8) | payload[at + 1]);
      if (end === start || end > payload.length || !this.#addUnit(payload, start, end, pieces)) return false;
      at = end;
    } while (at < payload.length);
    return true;
  }

  /**
   * FU-A, §5.8: the indicator has the unit's F and NRI, the FU header its type.
   *
   *      0                   1
   *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
   *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   *     |F|NRI|  28     |S|E|R|  Type   |
   *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   */
  #addFragment(payload: Buffer, pieces: FramePieces): boolean {
    if (payload.length < 2) return false;
    const isStart = (payload[1] & 0x80) !== 0;
    const isEnd = (payload[1] & 0x40) !== 0;
    const header = (payload[0] & REFERENCE_BITS) | (payload[1] & TYPE_BITS);
    if (isStart === this.#fragmented >= 0 || (isStart && isEnd)) return false;
    if (!isStart && header !== this.#fragmented) return false;
    const type = header & TYPE_BITS;
    if (type === 0 || type >= NAL.firstOfRtp) return false;
    this.#fragmented = isEnd ? -1 : header;
    if (type === NAL.sps || type === NAL.pps) return this.#addSetFragment(payload, header, isEnd, pieces);
    if (type > NAL.idrSlice) return true;
    if (isStart) {
      if (!this.#beginSlice(type, payload, 1, payload.length)) return false;
      const unitStart = UNIT_START_BYTES * header;
      if (!pieces.append(UNIT_STARTS, unitStart, unitStart + UNIT_START_BYTES)) return false;
    }
    return pieces.append(payload, 2, payload.length);
  }

  /** Nobody cuts parameter sets up, but they may. */
  #addSetFragment(payload: Buffer, header: number, isEnd: boolean, pieces: FramePieces): boolean {
    if (this.#setFragments.length >= MAX_SET_FRAGMENTS) return false;
    this.#setFragments.push(payload.subarray(2));
    if (!isEnd) return true;
    const unit = Buffer.concat([Buffer.of(header), ...this.#setFragments]);
    this.#setFragments.length = 0;
    return this.#addUnit(unit, 0, unit.length, pieces);
  }
}
