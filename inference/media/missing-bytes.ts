import type { FileHandle } from 'node:fs/promises';

/** What an MP4 or QuickTime file may begin with. */
const FIRST_BOXES = new Set(['ftyp', 'styp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot']);
/** Boxes that a file is not whole without; what else is cut off at its end may be what a camera appended. */
const MEDIA_BOXES = new Set(['mdat', 'moov', 'moof']);
/** Hours of one-second fragments have fewer boxes; a file of more is not counted to its end. */
const MAX_BOXES = 100_000;

const EBML_HEADER = 0x1a45dfa3;
const MATROSKA_SEGMENT = 0x18538067;

/**
 * How many bytes are missing at a file's end, by the sizes that MP4, QuickTime, Matroska and WebM write down.
 * @param size the file's, in bytes
 * @returns 0 when it is whole, null when nothing in it tells
 */
export async function missingBytes(file: FileHandle, size: number): Promise<number | null> {
  const head = await readAt(file, 0, 64);
  if (head.length < 16) return null;
  if (head.readUInt32BE(0) === EBML_HEADER) return missingFromSegment(head, size);
  return FIRST_BOXES.has(head.toString('latin1', 4, 8)) ? missingFromBoxes(file, size) : null;
}

/**
 *      0                   4                   8                  16
 *     +-------------------+-------------------+-------------------+
 *     | size (1: see last)| type              | size where it is 1|      size 0: to the end of the file
 *     +-------------------+-------------------+-------------------+
 * @see ISO/IEC 14496-12 §4.2
 */
async function missingFromBoxes(file: FileHandle, size: number): Promise<number | null> {
  let start = 0;
  for (let boxes = 0; boxes < MAX_BOXES; boxes++) {
    const head = await readAt(file, start, 16);
    if (head.length < 8) return 0;
    const type = head.toString('latin1', 4, 8);
    let length = head.readUInt32BE(0);
    if (length === 0) return 0;
    if (length === 1 && head.length === 16) length = Number(head.readBigUInt64BE(8));
    if (length < 8) return 0;
    start += length;
    if (start > size) return MEDIA_BOXES.has(type) ? start - size : 0;
  }
  return null;
}

/**
 * An EBML header, then one Segment that holds all the rest: each an ID, a size, and what it holds. The number of
 * zeros that a size begins with is the number of bytes that follow its first; all ones means that it is not known.
 * @see RFC 8794 §4 and §6.2, RFC 9559 §5.1
 */
function missingFromSegment(head: Buffer, size: number): number | null {
  const header = readSize(head, 4);
  if (!header?.value) return null;
  const segment = header.end + header.value;
  if (segment + 12 > head.length || head.readUInt32BE(segment) !== MATROSKA_SEGMENT) return null;
  const body = readSize(head, segment + 4);
  return body?.value == null ? null : Math.max(0, body.end + body.value - size);
}

function readSize(from: Buffer, at: number): { readonly value: number | null; readonly end: number } | null {
  const first = from[at] ?? 0;
  const more = Math.clz32(first) - 24;
  if (more > 7 || at + more >= from.length) return null;
  let value = first & (0x7f >> more);
  let isUnknown = value === 0x7f >> more;
  for (let i = 1; i <= more; i++) {
    value = value * 256 + from[at + i]!;
    isUnknown &&= from[at + i] === 0xff;
  }
  return { value: isUnknown ? null : value, end: at + more + 1 };
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
