import { InferenceError } from '../errors.ts';
import { type Detection, type Landmarks, mapFive, type Point } from '../track/box.ts';
import { suppress } from './nms.ts';

/** Scores go to 1, give or take rounding; more is rubbish. */
const MAX_SCORE = 1.01;
/** Pixels of the input: far past where a face that is partly outside can reach. */
const MAX_COORDINATE = 1e6;

interface Candidate extends Detection {
  /** Five points in pixels of the input, read only for the boxes that are kept. */
  readonly points: (() => Landmarks) | undefined;
}

/** Collects what a model finds in one picture, in pixels of its input, and gives it back in pixels of the picture. */
export class Candidates {
  readonly #model: string;
  /** Pixels of the picture for one of the input. */
  readonly #toX: number;
  readonly #toY: number;
  readonly #found: Candidate[] = [];

  constructor(model: string, toX: number, toY: number) {
    this.#model = model;
    this.#toX = toX;
    this.#toY = toY;
  }

  /**
   * Adds a face by two opposite corners of its box.
   * @throws InferenceError 'run-failed' for what can be no face: what the model saw is then not known
   */
  add(score: number, x1: number, y1: number, x2: number, y2: number, points?: () => Landmarks): void {
    // Written so that NaN counts as a failure, not as "no face".
    if (!(score <= MAX_SCORE) || !isWithin(x1, y1) || !isWithin(x2, y2)) throw this.#rubbish();
    this.#found.push({
      x: Math.min(x1, x2) * this.#toX,
      y: Math.min(y1, y2) * this.#toY,
      w: Math.abs(x2 - x1) * this.#toX,
      h: Math.abs(y2 - y1) * this.#toY,
      score: Math.max(0, Math.min(1, score)),
      points,
    });
  }

  /** The boxes that no better one overlaps by more than `maxIou`, best first. @throws InferenceError 'run-failed' */
  best(maxIou: number): Detection[] {
    // The very objects that went in come out.
    const kept = suppress(this.#found, maxIou) as Candidate[];
    return kept.map(({ x, y, w, h, score, points }) =>
      points ? { x, y, w, h, score, landmarks: this.#toPicture(points()) } : { x, y, w, h, score },
    );
  }

  #toPicture(points: Landmarks): Landmarks {
    return mapFive(points, ([x, y]) => {
      if (!isWithin(x, y)) throw this.#rubbish();
      return [x * this.#toX, y * this.#toY];
    });
  }

  #rubbish(): InferenceError {
    return new InferenceError('run-failed', `${this.#model} gave a result that is no number, or out of all bounds`);
  }
}

/** False for NaN as well. */
function isWithin(x: number, y: number): boolean {
  return Math.abs(x) <= MAX_COORDINATE && Math.abs(y) <= MAX_COORDINATE;
}

/** Five points of which `at` gives the ten coordinates: each is `origin + at · unit`. */
export function fivePoints(at: (index: number) => number, originX: number, originY: number, unit: number): Landmarks {
  const point = (i: number): Point => [originX + at(2 * i) * unit, originY + at(2 * i + 1) * unit];
  return [point(0), point(1), point(2), point(3), point(4)];
}
