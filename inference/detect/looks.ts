import type { Frame } from 'node-av';
import { InferenceError } from '../errors.ts';
import type { Box, Detection } from '../track/box.ts';
import type { Detector } from './detector.ts';
import { suppress } from './nms.ts';
import { PictureView, type ViewOptions } from './picture-view.ts';
import { squareTiles } from './tiles.ts';

/** Which looks are taken at a picture, and how often. Periods count frames; 0 is never. */
export interface LookOptions {
  /** The longer side of the picture as the detector sees it. */
  readonly inputPx: number;
  /** Every so many-th frame is looked at in `sharpInputPx` instead, for the small faces. */
  readonly sharpEveryFrames: number;
  readonly sharpInputPx: number;
  /** A sharp look also takes the picture in tiles: for models of a fixed size, to which `sharpInputPx` says nothing. */
  readonly sharpTiles?: boolean;
  /** So often the picture is also looked at on its side, to one and to the other in turn. */
  readonly turnEveryFrames?: number;
  readonly minScore: number;
}

type Turns = 1 | 3;

/** What a look at a turned picture says counts for so much less: it sees more that is none. */
const TURNED_DISCOUNT = 0.1;
/** Below it, less the discount, a look at a turned picture says nothing. */
const MIN_TURNED_SCORE = 0.3;
/** A face of this score that only a turned look sees has that look repeated at each detection ... */
const SURE_TURNED_SCORE = 0.6;
/** ... until so many in a row see none. */
const MAX_TURNED_MISSES = 4;
/** Two looks at one picture see one face where their boxes overlap by more than this. */
const MAX_IOU = 0.45;
/** Sizes of view in use at a time; all go when a stream changes its size more often. */
const MAX_VIEWS = 16;

/**
 * Looks at pictures in the ways that it pays to: at one size, now and then sharper, and on their side, for people who lie
 * and cameras that do. Upside down a model sees about as well as upright.
 */
export class Looks {
  readonly #detector: Detector;
  readonly #options: LookOptions;
  readonly #views = new Map<string, PictureView>();
  /** Turns that showed somebody whom nothing else shows, and how many looks ago. */
  readonly #active = new Map<Turns, number>();
  #lastSharp = Number.NEGATIVE_INFINITY;
  #lastTurned = Number.NEGATIVE_INFINITY;
  #nextTurn: Turns = 1;
  #isAfresh = true;
  #lastAfresh: number | undefined;

  /** Borrows the detector. */
  constructor(detector: Detector, options: LookOptions) {
    this.#detector = detector;
    this.#options = options;
  }

  /**
   * Something else is seen from `frame` on, or from the next look on where that is left out: the first look at it is
   * taken in all ways, unless it was.
   */
  afresh(frame?: number): void {
    if (frame !== undefined && this.#lastAfresh === frame) return;
    this.#isAfresh = true;
    this.#active.clear();
  }

  /**
   * Looks at one picture, which it borrows. Calls must not overlap.
   * @returns boxes in picture pixels, best first
   * @throws InferenceError where the model fails or what it says can't be
   */
  async look(frame: number, picture: Frame): Promise<Detection[]> {
    const isAfresh = this.#isAfresh;
    // Not at its end: what is seen while it is under way may be something else already.
    this.#isAfresh = false;
    if (isAfresh) this.#lastAfresh = frame;
    try {
      return await this.#look(frame, picture, isAfresh);
    } catch (error) {
      this.#isAfresh ||= isAfresh;
      this.#lastAfresh = undefined;
      throw error;
    }
  }

  /** Frees the views. The detector is its maker's to close. */
  close(): void {
    for (const view of this.#views.values()) view.close();
    this.#views.clear();
  }

  async #look(frame: number, picture: Frame, isAfresh: boolean): Promise<Detection[]> {
    const { sharpEveryFrames, inputPx, sharpInputPx, sharpTiles, minScore } = this.#options;
    const isSharp = sharpEveryFrames > 0 && (isAfresh || frame - this.#lastSharp >= sharpEveryFrames);
    const px = isSharp ? sharpInputPx : inputPx;
    const turns = this.#turnsDue(frame, isAfresh);
    const found = await this.#detect(picture, px, minScore);
    let isMerged = false;
    if (isSharp && sharpTiles) {
      for (const window of squareTiles(picture.width, picture.height)) {
        found.push(...(await this.#detectView(picture, { scale: 1, window, turns: 0 }, minScore)));
        isMerged = true;
      }
    }
    for (const turn of turns) {
      // Small faces are looked for on the side that shows somebody.
      const seen = await this.#lookTurned(picture, this.#active.has(turn) ? px : inputPx, turn);
      // A face seen better without the turn is seen in other proportions with it: that is no second one. One that reaches
      // past it may be.
      const sideways = seen.filter(
        (face) => !found.some((other) => other.score >= face.score && isWithin(face, other)),
      );
      this.#noteTurned(turn, sideways);
      found.push(...sideways);
      isMerged ||= sideways.length > 0;
    }
    // Only now, so that a look that failed is taken again.
    if (isSharp) this.#lastSharp = frame;
    if (turns.length > 0) this.#noteTurnsTaken(frame, isAfresh);
    return isMerged ? suppress(found, MAX_IOU) : found;
  }

  #turnsDue(frame: number, isAfresh: boolean): Turns[] {
    const { turnEveryFrames = 0 } = this.#options;
    if (turnEveryFrames === 0) return [];
    if (isAfresh) return [1, 3];
    const due = new Set<Turns>(this.#active.keys());
    if (frame - this.#lastTurned >= turnEveryFrames) due.add(this.#nextTurn);
    return [...due];
  }

  #noteTurnsTaken(frame: number, isAfresh: boolean): void {
    if (!isAfresh && frame - this.#lastTurned < (this.#options.turnEveryFrames ?? 0)) return;
    this.#lastTurned = frame;
    this.#nextTurn = this.#nextTurn === 1 ? 3 : 1;
  }

  async #lookTurned(picture: Frame, px: number, turns: Turns): Promise<Detection[]> {
    const scale = Math.min(1, px / Math.max(picture.width, picture.height));
    const window = { x: 0, y: 0, w: picture.width * scale, h: picture.height * scale };
    const found = await this.#detectView(picture, { scale, window, turns }, MIN_TURNED_SCORE + TURNED_DISCOUNT);
    return found.map((face) => ({ ...face, score: face.score - TURNED_DISCOUNT }));
  }

  #noteTurned(turn: Turns, sideways: readonly Detection[]): void {
    const isShown = sideways.some(({ score }) => score >= SURE_TURNED_SCORE);
    const misses = isShown ? 0 : (this.#active.get(turn) ?? MAX_TURNED_MISSES) + 1;
    if (misses > MAX_TURNED_MISSES) this.#active.delete(turn);
    else this.#active.set(turn, misses);
  }

  async #detectView(picture: Frame, options: ViewOptions, minScore: number): Promise<Detection[]> {
    const view = this.#viewOf(picture, options);
    view.draw(picture);
    const longer = Math.max(view.frame.width, view.frame.height);
    return (await this.#detect(view.frame, longer, minScore)).map((face) => view.toPicture(face));
  }

  async #detect(picture: Frame, px: number, minScore: number): Promise<Detection[]> {
    const found = await this.#detector.detect(picture, px, minScore);
    if (!found.every(isFace)) throw new InferenceError('run-failed', `${this.#detector.name} gave a box that is none`);
    return found;
  }

  #viewOf(picture: Frame, options: ViewOptions): PictureView {
    const { width, height, format } = picture;
    const { scale, turns, window } = options;
    const key = `${width}x${height}:${format}:${scale}:${turns}:${window.x}:${window.y}:${window.w}:${window.h}`;
    const known = this.#views.get(key);
    if (known) return known;
    if (this.#views.size >= MAX_VIEWS) this.close();
    const view = new PictureView(picture, options);
    this.#views.set(key, view);
    return view;
  }
}

/** Whether more than half of a box lies in another. */
function isWithin(box: Box, other: Box): boolean {
  const w = Math.min(box.x + box.w, other.x + other.w) - Math.max(box.x, other.x);
  const h = Math.min(box.y + box.h, other.y + other.h) - Math.max(box.y, other.y);
  return w > 0 && h > 0 && 2 * w * h > box.w * box.h;
}

/** Rubbish from a model must not pass for "no face". */
function isFace({ x, y, w, h, score }: Detection): boolean {
  return Number.isFinite(x + y + w + h) && w > 0 && h > 0 && score >= 0 && score <= 1;
}
