/** Bits a pixel and frame at which the encoder's pictures are good enough that more is not seen. */
const BITS_PER_PIXEL = 0.15;
const FRAMES_PER_SECOND = 30;
const MIN_CAP_BPS = 400_000;
const MAX_CAP_BPS = 8_000_000;
/** Below this a picture is no use to anyone: a viewer who can't take it loses frames, not everybody's picture. */
const FLOOR_BPS = 200_000;
/** Part of what a viewer can take that the picture may use: sound and retransmissions need some. */
const HEADROOM = 0.85;
/** Losses above this say that the network is full; below it they are chance. */
const MAX_LOSS = 0.08;
const LOSS_BACKOFF = 0.75;
/** Growth a step when nobody complains. */
const GROWTH = 1.12;
/** A smaller change than this is not worth telling the encoder. */
const MIN_CHANGE = 0.1;

/** What one viewer's network said in the last second. */
export interface ViewerReport {
  /** Estimated by congestion control, or null where the viewer has none. */
  readonly availableBps: number | null;
  /** 0..1 of our packets that did not arrive, or null where it said nothing. */
  readonly lossFraction: number | null;
}

/** Chooses the encoder's bit rate: a cap by picture size, less where the weakest viewer can't take it. */
export class BitrateControl {
  #capBps: number;
  #currentBps: number;

  constructor(initialBps: number) {
    this.#capBps = initialBps;
    this.#currentBps = initialBps;
  }

  get currentBps(): number {
    return this.#currentBps;
  }

  /** Takes the size of what is sent now. */
  setSize(width: number, height: number): void {
    const wanted = width * height * FRAMES_PER_SECOND * BITS_PER_PIXEL;
    this.#capBps = Math.min(MAX_CAP_BPS, Math.max(MIN_CAP_BPS, wanted));
  }

  /** One step, once a second. @returns the new bit rate when it changed by enough to matter, else null */
  step(reports: readonly ViewerReport[]): number | null {
    let target = Math.min(this.#capBps, this.#currentBps * GROWTH);
    for (const { availableBps, lossFraction } of reports) {
      if (availableBps !== null) target = Math.min(target, availableBps * HEADROOM);
      if (lossFraction !== null && lossFraction > MAX_LOSS) target = Math.min(target, this.#currentBps * LOSS_BACKOFF);
    }
    target = Math.max(FLOOR_BPS, target);
    const reached = target === this.#capBps && this.#currentBps !== this.#capBps;
    if (!reached && Math.abs(target - this.#currentBps) < this.#currentBps * MIN_CHANGE) return null;
    this.#currentBps = Math.round(target);
    return this.#currentBps;
  }
}
