/** Counters that wrap: RTP's sequence numbers and timestamps. */
export type CounterBits = 16 | 32;

const HALF = { 16: 2 ** 15, 32: 2 ** 31 } as const;

/** Past this an unwrapped counter starts anew, so that it stays a safe integer. Honest streams never get there. */
const LARGEST = 2 ** 52;

/**
 * The number nearest to `reference` whose low bits are `value`; what lies exactly half way counts as later.
 * `reference` is not negative; the result may be where it is smaller than half the counter's range.
 * @see RFC 1982 §3.2
 */
export function unwrapNear(reference: number, value: number, bits: CounterBits): number {
  const ahead = aheadOf(reference, value, bits);
  return ahead > HALF[bits] ? reference + ahead - 2 * HALF[bits] : reference + ahead;
}

/** How far `value` is after `reference` on the circle: 0 … 2^bits − 1. */
function aheadOf(reference: number, value: number, bits: CounterBits): number {
  // Bit operators take safe integers modulo 2^32 (ECMA-262 ToInt32), and cost less than `%`.
  return bits === 16 ? (value - reference) & 0xffff : (value - reference) >>> 0;
}

/**
 * Takes the wrap off one stream's counter. Results are safe integers, not negative, and congruent to what came in;
 * values that come out of order unwrap to where they belong, up to half the range behind the highest.
 */
export class Unwrapper {
  readonly #bits: CounterBits;
  /** Only ever grows, so that nothing can walk it below zero in small steps back. */
  #highest: number | null = null;
  #restarting = false;

  constructor(bits: CounterBits) {
    this.#bits = bits;
  }

  unwrap(value: number): number {
    if (this.#highest === null || this.#highest > LARGEST) {
      // One range above zero: what is up to half a range older is still not negative.
      this.#highest = value + 2 * HALF[this.#bits];
      return this.#highest;
    }
    const unwrapped = this.#restarting
      ? this.#highest + aheadOf(this.#highest, value, this.#bits)
      : unwrapNear(this.#highest, value, this.#bits);
    this.#restarting = false;
    if (unwrapped > this.#highest) this.#highest = unwrapped;
    return unwrapped;
  }

  /** The counter jumps: its next value is later than all before, wherever it stands. */
  restart(): void {
    this.#restarting = true;
  }
}
