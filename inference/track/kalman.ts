import type { Box } from './box.ts';

/** Standard deviations a frame, as fractions of the box's side. @see ByteTrack, Zhang et al. 2022 */
const MEASURED = 1 / 20;
const DRIFT = 1 / 20;
const ACCELERATION = 1 / 40;
/** How uncertain a new track's velocity is. */
const FIRST_VELOCITY = 1 / 4;

/** One coordinate with its velocity: a two-state filter. */
class Axis {
  position: number;
  velocity = 0;
  #p00: number;
  #p01 = 0;
  #p11: number;

  constructor(position: number, side: number) {
    this.position = position;
    this.#p00 = (2 * MEASURED * side) ** 2;
    this.#p11 = (FIRST_VELOCITY * side) ** 2;
  }

  predict(frames: number, side: number): void {
    this.position += this.velocity * frames;
    this.#p00 += 2 * frames * this.#p01 + frames * frames * this.#p11 + frames * (DRIFT * side) ** 2;
    this.#p01 += frames * this.#p11;
    this.#p11 += frames * (ACCELERATION * side) ** 2;
  }

  correct(measured: number, side: number): void {
    const spread = this.#p00 + (MEASURED * side) ** 2;
    const k0 = this.#p00 / spread;
    const k1 = this.#p01 / spread;
    const error = measured - this.position;
    this.position += k0 * error;
    this.velocity += k1 * error;
    this.#p11 -= k1 * this.#p01;
    this.#p01 -= k0 * this.#p01;
    this.#p00 -= k0 * this.#p00;
  }
}

/** A constant-velocity Kalman filter on a box's centre and size. Time counts in frames. */
export class BoxFilter {
  readonly #x: Axis;
  readonly #y: Axis;
  readonly #w: Axis;
  readonly #h: Axis;

  constructor({ x, y, w, h }: Box) {
    const side = (w + h) / 2;
    this.#x = new Axis(x + w / 2, side);
    this.#y = new Axis(y + h / 2, side);
    this.#w = new Axis(w, side);
    this.#h = new Axis(h, side);
  }

  predict(frames: number): void {
    const side = this.#side;
    for (const axis of [this.#x, this.#y, this.#w, this.#h]) axis.predict(frames, side);
  }

  correct({ x, y, w, h }: Box): void {
    const side = this.#side;
    this.#x.correct(x + w / 2, side);
    this.#y.correct(y + h / 2, side);
    this.#w.correct(w, side);
    this.#h.correct(h, side);
  }

  get box(): Box {
    const w = Math.max(1, this.#w.position);
    const h = Math.max(1, this.#h.position);
    return { x: this.#x.position - w / 2, y: this.#y.position - h / 2, w, h };
  }

  get #side(): number {
    return Math.max(1, (this.#w.position + this.#h.position) / 2);
  }
}
