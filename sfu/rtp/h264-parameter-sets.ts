import { START_CODE } from './annex-b.ts';
import { NAL, readGolomb } from './h264-nal.ts';

/** Longest SPS or PPS that is remembered; real ones with all their scaling lists stay below 1 KiB. */
const MAX_SET_BYTES = 4096;
/** Most of each kind; encoders send one to three. The ids would allow 32 and 256. */
const MAX_SETS = 32;

interface PictureSet {
  readonly nal: Buffer;
  readonly sequenceSet: number;
}

/** The SPS and PPS that a stream has sent, by id, so that a keyframe sent without them can be decoded by itself. */
export class ParameterSets {
  readonly #sequence = new Map<number, Buffer>();
  readonly #picture = new Map<number, PictureSet>();
  /** Ids of those in the access unit at hand. */
  readonly #sequenceHere = new Set<number>();
  readonly #pictureHere = new Set<number>();

  beginAccessUnit(): void {
    if (this.#sequenceHere.size > 0) this.#sequenceHere.clear();
    if (this.#pictureHere.size > 0) this.#pictureHere.clear();
  }

  /** Copies an SPS or PPS of the access unit at hand. @returns false where it is none, or too long */
  remember(nal: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_SET_BYTES) return false;
    if ((nal[start] & 0x1f) === NAL.sps) {
      // 7.3.2.1.1: profile_idc, constraints and level_idc, then seq_parameter_set_id.
      const id = readGolomb(nal, start, end, 24, 1)?.[0];
      if (id === undefined || id > 31) return false;
      keep(this.#sequence, id, annexB(nal, start, end));
      this.#sequenceHere.add(id);
      return true;
    }
    // 7.3.2.2: pic_parameter_set_id, seq_parameter_set_id.
    const ids = readGolomb(nal, start, end, 0, 2);
    if (ids === null || ids[0] > 255 || ids[1] > 31) return false;
    keep(this.#picture, ids[0], { nal: annexB(nal, start, end), sequenceSet: ids[1] });
    this.#pictureHere.add(ids[0]);
    return true;
  }

  /**
   * What has to stand before the access unit at hand so that slices with these PPS ids decode.
   * @returns Annex B units, SPS before PPS; null where one of them was never sent
   */
  missing(pictureSets: Iterable<number>): Buffer[] | null {
    const sequence = new Set<Buffer>();
    const picture: Buffer[] = [];
    for (const id of pictureSets) {
      const set = this.#picture.get(id);
      const sequenceSet = set && this.#sequence.get(set.sequenceSet);
      if (set === undefined || sequenceSet === undefined) return null;
      if (!this.#pictureHere.has(id)) picture.push(set.nal);
      if (!this.#sequenceHere.has(set.sequenceSet)) sequence.add(sequenceSet);
    }
    return [...sequence, ...picture];
  }
}

/** Sets the entry as the newest, and lets the oldest go where there are too many. */
function keep<T>(sets: Map<number, T>, id: number, value: T): void {
  sets.delete(id);
  sets.set(id, value);
  if (sets.size > MAX_SETS) sets.delete(sets.keys().next().value!);
}

function annexB(nal: Buffer, start: number, end: number): Buffer {
  return Buffer.concat([START_CODE, nal.subarray(start, end)]);
}
