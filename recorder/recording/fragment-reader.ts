import { BOX_HEAD, type Box, badMedia, boxesIn, findBox, type Mp4Track, tracksOf } from './mp4-boxes.ts';

/** A box larger than this is no live stream's; FFmpeg is told to cut fragments well before. */
const MAX_BOX_BYTES = 96 << 20;
const MAX_INIT_BYTES = 1 << 20;

const DEFAULT_DURATION_FLAG = 0x08;
const TRUN_DATA_OFFSET = 0x01;
const TRUN_FIRST_FLAGS = 0x04;
const TRUN_DURATION = 0x100;
/** Of a sample in a trun, each of four bytes: duration, size, flags, composition offset. */
const TRUN_FIELDS = [0x100, 0x200, 0x400, 0x800] as const;
/** In a tfhd before the default duration: base data offset (8 bytes), sample description index (4). */
const TFHD_BASE_OFFSET = 0x01;
const TFHD_DESCRIPTION = 0x02;

/** A `moof` with its `mdat`: what can be decoded after the init segment. */
export interface Fragment {
  readonly data: Buffer;
  /** Of its video. */
  readonly durationMs: number;
}

export interface FragmentHooks {
  /** `ftyp` and `moov`: what a player reads before any fragment. Called once, and first. */
  onInit(data: Buffer): void;
  onFragment(fragment: Fragment): void;
}

/**
 * Takes fragmented MP4 apart as it comes out of a pipe, in pieces of any size. The first track is the video.
 * @see ISO/IEC 14496-12 §8.8 (movie fragments)
 */
export class FragmentReader {
  readonly #hooks: FragmentHooks;
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #needed = BOX_HEAD;
  #head: Buffer[] = [];
  #moof: Buffer | null = null;
  #video: Mp4Track | null = null;

  constructor(hooks: FragmentHooks) {
    this.#hooks = hooks;
  }

  /** @throws RecorderError 'bad-media' for what is no fragmented MP4 */
  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    while (this.#length >= this.#needed) {
      const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
      const size = bytes.readUInt32BE(0);
      if (size < BOX_HEAD || size > MAX_BOX_BYTES) throw badMedia('a box of an odd size');
      this.#needed = size;
      this.#pieces.splice(0, this.#pieces.length, bytes);
      if (bytes.length < size) return;
      this.#needed = BOX_HEAD;
      this.#pieces.splice(0, 1, bytes.subarray(size));
      this.#length = bytes.length - size;
      // A copy: what comes out of the pipe lies in memory that is shared.
      this.#take(Buffer.from(bytes.subarray(0, size)));
    }
  }

  #take(box: Buffer): void {
    const type = box.toString('latin1', 4, 8);
    if (type === 'moof') this.#moof = box;
    else if (type === 'mdat' && this.#moof) this.#finishFragment(this.#moof, box);
    else if (!this.#video) this.#takeHead(type, box);
  }

  #takeHead(type: string, box: Buffer): void {
    this.#head.push(box);
    if (this.#head.reduce((sum, { length }) => sum + length, 0) > MAX_INIT_BYTES) throw badMedia('an endless header');
    if (type !== 'moov') return;
    const [video] = tracksOf(box, { start: BOX_HEAD, end: box.length });
    if (!video) throw badMedia('a header without tracks');
    this.#video = video;
    this.#hooks.onInit(Buffer.concat(this.#head));
    this.#head = [];
  }

  #finishFragment(moof: Buffer, mdat: Buffer): void {
    if (!this.#video) throw badMedia('a fragment before the header');
    this.#moof = null;
    const { track, timescale } = this.#video;
    const durationMs = (durationOf(moof, track) * 1000) / timescale;
    this.#hooks.onFragment({ data: Buffer.concat([moof, mdat]), durationMs });
  }
}

/** Of the samples of a track, in its timescale. */
function durationOf(moof: Buffer, track: number): number {
  let sum = 0;
  for (const traf of boxesIn(moof, BOX_HEAD, moof.length)) {
    if (traf.type !== 'traf') continue;
    const tfhd = findBox(moof, traf.start, traf.end, 'tfhd');
    if (!tfhd || moof.readUInt32BE(tfhd.start + 4) !== track) continue;
    const fallback = defaultDuration(moof, tfhd);
    for (const trun of boxesIn(moof, traf.start, traf.end)) {
      if (trun.type === 'trun') sum += trunDuration(moof, trun, fallback);
    }
  }
  return sum;
}

function defaultDuration(moof: Buffer, { start }: Box): number {
  const flags = moof.readUIntBE(start + 1, 3);
  if (!(flags & DEFAULT_DURATION_FLAG)) return 0;
  const before = (flags & TFHD_BASE_OFFSET ? 8 : 0) + (flags & TFHD_DESCRIPTION ? 4 : 0);
  return moof.readUInt32BE(start + 8 + before);
}

function trunDuration(moof: Buffer, { start, end }: Box, fallback: number): number {
  const flags = moof.readUIntBE(start + 1, 3);
  const count = moof.readUInt32BE(start + 4);
  if (!(flags & TRUN_DURATION)) return count * fallback;
  const step = TRUN_FIELDS.filter((field) => flags & field).length * 4;
  let at = start + 8 + (flags & TRUN_DATA_OFFSET ? 4 : 0) + (flags & TRUN_FIRST_FLAGS ? 4 : 0);
  if (at + count * step > end) throw badMedia('a list of samples that is cut short');
  let sum = 0;
  for (let index = 0; index < count; index++, at += step) sum += moof.readUInt32BE(at);
  return sum;
}
