/** NAL unit types (H.264 table 7-1), and those that only RTP knows (RFC 6184 table 1). */
export const NAL = {
  slice: 1,
  idrSlice: 5,
  sps: 7,
  pps: 8,
  delimiter: 9,
  filler: 12,
  /** From here on, types are RTP's. */
  firstOfRtp: 24,
  stapA: 24,
  fuA: 28,
} as const;

/**
 * Reads Exp-Golomb numbers, ue(v), out of a NAL unit, over its emulation prevention bytes.
 * @param skipBits that lie between the unit's header byte, at `start`, and the first of them
 * @returns null where the unit ends before, or a number takes more than 32 bits
 * @see ITU-T H.264 7.3.1, 9.1
 */
export function readGolomb(nal: Buffer, start: number, end: number, skipBits: number, count: number): number[] | null {
  let at = start + 1;
  let zeroBytes = 0;
  let byte = 0;
  let bitsLeft = 0;
  const bit = (): number => {
    if (bitsLeft === 0) {
      // 00 00 03: the 3 is there so that no start code appears.
      if (zeroBytes >= 2 && nal[at] === 3) {
        at++;
        zeroBytes = 0;
      }
      if (at >= end) return -1;
      byte = nal[at++];
      zeroBytes = byte === 0 ? zeroBytes + 1 : 0;
      bitsLeft = 8;
    }
    return (byte >> --bitsLeft) & 1;
  };
  for (let i = 0; i < skipBits; i++) if (bit() < 0) return null;
  const numbers: number[] = [];
  while (numbers.length < count) {
    let zeros = 0;
    let next = bit();
    for (; next === 0; next = bit()) if (++zeros > 31) return null;
    if (next < 0) return null;
    let value = 1;
    for (let i = 0; i < zeros; i++) {
      next = bit();
      if (next < 0) return null;
      value = value * 2 + next;
    }
    numbers.push(value - 1);
  }
  return numbers;
}
