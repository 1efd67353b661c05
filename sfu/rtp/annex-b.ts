/** What stands before each NAL unit: always the long form, as a byte stream's first one needs it (H.264 B.1.2). */
export const START_CODE = Buffer.from([0, 0, 0, 1]);

const SHORT_START_CODE = START_CODE.subarray(1);

/**
 * Walks over the NAL units of a byte stream, behind start codes of 3 or 4 bytes, without their trailing zeros.
 * What stands before the first start code is no unit.
 * @see ITU-T H.264 Annex B
 */
export function forEachNal(data: Uint8Array, visit: (start: number, end: number) => void): void {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  let code = bytes.indexOf(SHORT_START_CODE);
  while (code >= 0) {
    const start = code + SHORT_START_CODE.length;
    code = bytes.indexOf(SHORT_START_CODE, start);
    let end = code < 0 ? bytes.length : code;
    // A NAL unit does not end in a zero (7.4.1): these are trailing zeros, or the first byte of the next start code.
    while (end > start && bytes[end - 1] === 0) end--;
    if (end > start) visit(start, end);
  }
}
