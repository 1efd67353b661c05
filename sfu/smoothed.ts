/** A value that follows what it is given by a part of the difference at each step; null before the first. */
export class Smoothed {
  readonly #part: number;
  #value: number | null = null;

  /** @param part 0..1 */
  constructor(part: number) {
    this.#part = part;
  }

  get value(): number | null {
    return this.#value;
  }

  add(value: number): void {
    this.#value = this.#value === null ? value : this.#value + (value - this.#value) * this.#part;
  }
}
