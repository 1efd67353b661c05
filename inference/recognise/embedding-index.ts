import { InferenceError } from '../errors.ts';
import { clampSimilarity, similarity } from './similarity.ts';

/** A multiple of the next. */
const INITIAL_ROWS = 64;
const ROWS_AT_A_TIME = 4;
/** 50 MB of a recogniser of 128 numbers, 200 MB of one of 512. */
const MAX_ROWS = 100_000;

/** The row that is most like a face. */
export interface Match {
  readonly row: number;
  /** 0..1 */
  readonly similarity: number;
}

/** Rows from one on to before another. */
export interface Rows {
  readonly from: number;
  readonly to: number;
}

const NO_ROWS: Rows = { from: 0, to: 0 };

/** Embeddings of unit length, one after the other in one block of memory, and what is most like another one. */
export class EmbeddingIndex {
  readonly dimension: number;
  #values: Float32Array;
  #size = 0;

  /** @param dimension of all embeddings; an even number */
  constructor(dimension: number) {
    if (dimension % 2 !== 0) throw new RangeError(`embeddings of ${dimension} numbers; need an even number`);
    this.dimension = dimension;
    this.#values = new Float32Array(INITIAL_ROWS * dimension);
  }

  /** How many rows there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds an embedding of unit length, copied.
   * @returns its row
   * @throws InferenceError 'run-failed' for one of another dimension (another model's), one that is no numbers, and one
   *   too many
   */
  add(embedding: Float32Array): number {
    this.#check(embedding);
    if (!embedding.every(Number.isFinite)) throw new InferenceError('run-failed', 'an embedding is no numbers');
    if (this.#size === MAX_ROWS) throw new InferenceError('run-failed', `there are ${MAX_ROWS} embeddings already`);
    const { dimension } = this;
    if ((this.#size + 1) * dimension > this.#values.length) {
      const larger = new Float32Array(this.#values.length * 2);
      larger.set(this.#values);
      // What a person's erasure must erase is not left behind for the garbage collector.
      this.#values.fill(0);
      this.#values = larger;
    }
    this.#values.set(embedding, this.#size * dimension);
    return this.#size++;
  }

  /** Erases a row. The last row takes its place: a caller that keeps something by row moves it along. */
  remove(row: number): void {
    this.#checkRow(row);
    const { dimension } = this;
    this.#size--;
    const last = this.#size * dimension;
    this.#values.copyWithin(row * dimension, last, last + dimension);
    this.#values.fill(0, last, last + dimension);
  }

  /** Erases all. */
  clear(): void {
    this.#values.fill(0);
    this.#size = 0;
  }

  /** Similarity to one row, 0..1. */
  similarityTo(embedding: Float32Array, row: number): number {
    this.#check(embedding);
    this.#checkRow(row);
    const at = row * this.dimension;
    return similarity(embedding, this.#values.subarray(at, at + this.dimension));
  }

  /**
   * The row that is most like an embedding of unit length.
   * @param leftOut rows that are passed over
   * @returns null where there is none, or the embedding is no numbers
   * @throws InferenceError 'run-failed' for one of another dimension: another model's
   */
  best(embedding: Float32Array, leftOut: Rows = NO_ROWS): Match | null {
    this.#check(embedding);
    const { from, to } = leftOut;
    const may = (at: number): boolean => at < this.#size && (at < from || at >= to);
    const { dimension } = this;
    const values = this.#values;
    const padded = this.#size + ((ROWS_AT_A_TIME - (this.#size % ROWS_AT_A_TIME)) % ROWS_AT_A_TIME);
    let best = Number.NEGATIVE_INFINITY;
    let row = -1;
    // Four rows share each number of the embedding, and their sums do not wait for one another.
    for (let first = 0; first < padded; first += ROWS_AT_A_TIME) {
      const a = first * dimension;
      const b = a + dimension;
      const c = b + dimension;
      const d = c + dimension;
      let sumA = 0;
      let sumB = 0;
      let sumC = 0;
      let sumD = 0;
      for (let i = 0; i < dimension; i += 2) {
        const x = embedding[i]!;
        const y = embedding[i + 1]!;
        sumA += x * values[a + i]! + y * values[a + i + 1]!;
        sumB += x * values[b + i]! + y * values[b + i + 1]!;
        sumC += x * values[c + i]! + y * values[c + i + 1]!;
        sumD += x * values[d + i]! + y * values[d + i + 1]!;
      }
      if (sumA > best && may(first)) [best, row] = [sumA, first];
      if (sumB > best && may(first + 1)) [best, row] = [sumB, first + 1];
      if (sumC > best && may(first + 2)) [best, row] = [sumC, first + 2];
      if (sumD > best && may(first + 3)) [best, row] = [sumD, first + 3];
    }
    return row < 0 ? null : { row, similarity: clampSimilarity(best) };
  }

  /** Similarity of two rows, 0..1. */
  similarityOf(a: number, b: number): number {
    this.#checkRow(a);
    const at = a * this.dimension;
    return this.similarityTo(this.#values.subarray(at, at + this.dimension), b);
  }

  /** Whether a row is this very embedding. */
  equals(row: number, embedding: Float32Array): boolean {
    this.#checkRow(row);
    const at = row * this.dimension;
    return embedding.length === this.dimension && embedding.every((value, i) => value === this.#values[at + i]);
  }

  #checkRow(row: number): void {
    if (!(row >= 0 && row < this.#size)) throw new RangeError(`there is no row ${row} of ${this.#size}`);
  }

  #check(embedding: Float32Array): void {
    if (embedding.length === this.dimension) return;
    const lengths = `${embedding.length} numbers, need ${this.dimension}`;
    throw new InferenceError('run-failed', `an embedding has ${lengths}: it is another model's`);
  }
}
