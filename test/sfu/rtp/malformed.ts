/** A seeded generator of numbers (mulberry32): the same seed gives the same cases on every machine. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 … 2^32 − 1. */
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0 … `limit` − 1. */
  below(limit: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * limit);
  }

  chance(probability: number): boolean {
    return this.uint32() < probability * 2 ** 32;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.uint32();
    return bytes;
  }
}

const LONGEST_RANDOM_BYTES = 1500;
/** Headers stand at the start: half of the damage is done there. */
const HEADER_BYTES = 24;

type Damage = (valid: Buffer, random: SeededRandom) => Buffer;

const at = (bytes: Buffer, random: SeededRandom) =>
  random.below(random.chance(0.5) ? Math.min(bytes.length, HEADER_BYTES) : bytes.length);

/** Ways to damage a message; each gives a new buffer. */
const DAMAGES: readonly Damage[] = [
  (_valid, random) => random.bytes(random.below(LONGEST_RANDOM_BYTES)),
  (_valid, random) => random.bytes(random.below(HEADER_BYTES)),
  (valid, random) => {
    const bytes = Buffer.from(valid);
    for (let i = random.below(4); i >= 0 && bytes.length > 0; i--) bytes[at(bytes, random)] ^= 1 << random.below(8);
    return bytes;
  },
  (valid, random) => {
    const bytes = Buffer.from(valid);
    for (let i = random.below(4); i >= 0 && bytes.length > 0; i--) {
      bytes[at(bytes, random)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
    }
    return bytes;
  },
  (valid, random) => Buffer.from(valid.subarray(0, random.below(valid.length + 1))),
  (valid, random) => Buffer.from(valid.subarray(random.below(valid.length + 1))),
  (valid, random) => Buffer.concat([valid, random.bytes(1 + random.below(64))]),
  (valid, random) => {
    const cut = at(valid, random);
    return Buffer.concat([valid.subarray(0, cut), random.bytes(1 + random.below(8)), valid.subarray(cut)]);
  },
  (valid, random) => {
    const cut = at(valid, random);
    return Buffer.concat([valid.subarray(0, cut), valid.subarray(Math.min(valid.length, cut + 1 + random.below(8)))]);
  },
];

/**
 * Messages that no honest sender would send: every truncation of every valid one, then random bytes and damaged copies
 * of valid ones, until there are `count`. Deterministic in `seed`.
 */
export function* malformedCases(valid: readonly Buffer[], count: number, seed: number): Generator<Buffer> {
  const random = new SeededRandom(seed);
  let made = 0;
  for (const message of valid) {
    for (let length = 0; length < message.length && made < count; length++, made++) {
      yield Buffer.from(message.subarray(0, length));
    }
  }
  for (; made < count; made++) yield random.pick(DAMAGES)(random.pick(valid), random);
}
