/** 0..1, the same for the same seed. */
export type Random = () => number;

/** How a file is harmed. */
export type Mutation = (bytes: Buffer, random: Random) => Buffer;

/** Sizes, counts and lengths that arithmetic goes wrong on. */
const ODD_NUMBERS = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
/** Where the headers of most containers lie. */
const HEADER_BYTES = 1024;
const BOX_TYPE = /^[a-zA-Z0-9 ©]{4}$/;

const below = (random: Random, end: number) => Math.floor(random() * end);
const oneOf = <T>(random: Random, values: readonly T[]): T => values[below(random, values.length)]!;

function cutOff(bytes: Buffer, random: Random): Buffer {
  return bytes.subarray(0, below(random, bytes.length));
}

function withBytes(bytes: Buffer, random: Random, count: number, from: number, to: number): Buffer {
  const harmed = Buffer.from(bytes);
  for (let i = 0; i < count; i++) harmed[from + below(random, to - from)] = below(random, 256);
  return harmed;
}

function randomBytes(bytes: Buffer, random: Random): Buffer {
  return withBytes(bytes, random, 1 + below(random, 200), 0, bytes.length);
}

function randomHeader(bytes: Buffer, random: Random): Buffer {
  return withBytes(bytes, random, 1 + below(random, 8), 0, Math.min(bytes.length, HEADER_BYTES));
}

/** Single bits: what a bad disk does, and what gets furthest into a parser. */
function flippedBits(bytes: Buffer, random: Random): Buffer {
  const harmed = Buffer.from(bytes);
  const end = random() < 0.5 ? Math.min(bytes.length, HEADER_BYTES) : bytes.length;
  for (let i = 1 + below(random, 6); i > 0; i--) harmed[below(random, end)]! ^= 1 << below(random, 8);
  return harmed;
}

function oddNumbers(bytes: Buffer, random: Random): Buffer {
  const harmed = Buffer.from(bytes);
  const end = random() < 0.7 ? Math.min(bytes.length, HEADER_BYTES) : bytes.length;
  for (let i = 1 + below(random, 3); i > 0; i--) {
    const at = below(random, end - 4);
    const value = oneOf(random, ODD_NUMBERS);
    if (random() < 0.5) harmed.writeUInt32BE(value, at);
    else harmed.writeUInt16LE(value & 0xffff, at);
  }
  return harmed;
}

/** One field of one MP4 box, or the box's size, becomes an odd number. Files without boxes get it anywhere. */
function oddBox(bytes: Buffer, random: Random): Buffer {
  const boxes = boxesIn(bytes);
  if (boxes.length === 0) return oddNumbers(bytes, random);
  const harmed = Buffer.from(bytes);
  for (let i = 1 + below(random, 2); i > 0; i--) {
    const { start, size } = oneOf(random, boxes);
    const at = start + 4 * below(random, Math.max(1, Math.min(40, size >> 2)));
    if (at + 4 <= harmed.length && at !== start + 4) harmed.writeUInt32BE(oneOf(random, ODD_NUMBERS), at);
  }
  return harmed;
}

function zeros(bytes: Buffer, random: Random): Buffer {
  const harmed = Buffer.from(bytes);
  const at = below(random, bytes.length);
  return harmed.fill(0, at, Math.min(bytes.length, at + 1 + below(random, 4096)));
}

/** A part comes twice, not at all, or where another should be. */
function shuffled(bytes: Buffer, random: Random): Buffer {
  const size = 1 + below(random, Math.min(8192, bytes.length >> 1));
  const [from, to] = [below(random, bytes.length - size), below(random, bytes.length - size)];
  const part = bytes.subarray(from, from + size);
  const kind = random();
  if (kind < 0.33) return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + size)]);
  if (kind < 0.66) return Buffer.concat([bytes.subarray(0, to), part, bytes.subarray(to)]);
  const harmed = Buffer.from(bytes);
  part.copy(harmed, to);
  return harmed;
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  cutOff,
  randomBytes,
  randomHeader,
  flippedBits,
  oddNumbers,
  oddBox,
  zeros,
  shuffled,
};

/** Boxes at any depth: whatever has a size that fits and a name. @see ISO/IEC 14496-12 §4.2 */
function boxesIn(bytes: Buffer): { start: number; size: number }[] {
  const found = [];
  for (let start = 0; start + 8 <= bytes.length; start++) {
    const size = bytes.readUInt32BE(start);
    if (size < 8 || start + size > bytes.length || !BOX_TYPE.test(bytes.toString('latin1', start + 4, start + 8))) {
      continue;
    }
    found.push({ start, size });
  }
  return found;
}
