import { RecorderError } from '../errors.ts';

export const BOX_HEAD = 8;

/** One box; `start` and `end` are of its content. */
export interface Box {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** A track as its header tells it. */
export interface Mp4Track {
  readonly track: number;
  /** Ticks a second of its times. */
  readonly timescale: number;
}

/** The boxes between two places. @throws RecorderError 'bad-media' */
export function boxesIn(bytes: Buffer, start: number, end: number): Box[] {
  const found: Box[] = [];
  for (let at = start; at + BOX_HEAD <= end; ) {
    const size = bytes.readUInt32BE(at);
    if (size < BOX_HEAD || at + size > end) throw badMedia('a box that leads beyond its end');
    found.push({ type: bytes.toString('latin1', at + 4, at + 8), start: at + BOX_HEAD, end: at + size });
    at += size;
  }
  return found;
}

export function findBox(bytes: Buffer, start: number, end: number, type: string): Box | undefined {
  return boxesIn(bytes, start, end).find((box) => box.type === type);
}

/** The tracks of a `moov`, in order. @throws RecorderError 'bad-media' */
export function tracksOf(bytes: Buffer, moov: Pick<Box, 'start' | 'end'>): Mp4Track[] {
  return boxesIn(bytes, moov.start, moov.end)
    .filter(({ type }) => type === 'trak')
    .map((trak) => {
      const tkhd = findBox(bytes, trak.start, trak.end, 'tkhd');
      const mdia = findBox(bytes, trak.start, trak.end, 'mdia');
      const mdhd = mdia && findBox(bytes, mdia.start, mdia.end, 'mdhd');
      if (!tkhd || !mdhd) throw badMedia('a track without a header');
      // Version 1 has times of eight bytes, version 0 of four; two of them stand before.
      const after = (box: Box): number => box.start + 4 + (bytes[box.start] === 1 ? 16 : 8);
      const timescale = bytes.readUInt32BE(after(mdhd));
      if (timescale === 0) throw badMedia('a track without a timescale');
      return { track: bytes.readUInt32BE(after(tkhd)), timescale };
    });
}

/**
 * Moves the times of fragments, in place.
 * @param init of the same media
 * @param byMs what is before 0 then, is at 0
 * @throws RecorderError 'bad-media'
 * @see ISO/IEC 14496-12 §8.8.12 (tfdt)
 */
export function moveTimes(fragments: Buffer, init: Buffer, byMs: number): void {
  const moov = findBox(init, 0, init.length, 'moov');
  if (!moov) throw badMedia('no header');
  const tracks = tracksOf(init, moov);
  for (const moof of boxesIn(fragments, 0, fragments.length)) {
    if (moof.type !== 'moof') continue;
    for (const traf of boxesIn(fragments, moof.start, moof.end)) {
      const tfhd = traf.type === 'traf' && findBox(fragments, traf.start, traf.end, 'tfhd');
      const tfdt = tfhd && findBox(fragments, traf.start, traf.end, 'tfdt');
      if (!tfhd || !tfdt) continue;
      const known = tracks.find(({ track }) => track === fragments.readUInt32BE(tfhd.start + 4));
      if (!known) throw badMedia('a fragment of no track');
      moveTime(fragments, tfdt, Math.round((byMs * known.timescale) / 1000));
    }
  }
}

function moveTime(bytes: Buffer, { start }: Box, ticks: number): void {
  const at = start + 4;
  if (bytes[start] === 1) {
    const moved = bytes.readBigUInt64BE(at) + BigInt(ticks);
    bytes.writeBigUInt64BE(moved < 0n ? 0n : moved, at);
  } else {
    bytes.writeUInt32BE(Math.max(0, bytes.readUInt32BE(at) + ticks), at);
  }
}

export function badMedia(what: string): RecorderError {
  return new RecorderError('bad-media', `ffmpeg wrote no fragmented MP4: ${what}`);
}
