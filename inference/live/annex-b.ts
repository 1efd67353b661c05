/** H.264 Table 7-1: types 1 to 5 are (partitions of) coded slices. */
const FIRST_SLICE = 1;
const LAST_SLICE = 5;

/**
 * Whether an Annex B access unit holds a part of a picture, and not parameter sets or messages alone.
 *
 *     00 00 01 | forbidden_zero_bit(1) nal_ref_idc(2) nal_unit_type(5) | …        H.264 §7.3.1, §B.1.1
 */
export function holdsSlice(data: Uint8Array): boolean {
  for (let at = data.indexOf(1, 2); at >= 0 && at + 1 < data.length; at = data.indexOf(1, at + 1)) {
    if (data[at - 1] !== 0 || data[at - 2] !== 0) continue;
    const type = data[at + 1]! & 0x1f;
    if (type >= FIRST_SLICE && type <= LAST_SLICE) return true;
  }
  return false;
}
