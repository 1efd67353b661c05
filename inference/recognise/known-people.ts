import type { KnownPerson } from '../policy.ts';
import { EmbeddingIndex, type Rows } from './embedding-index.ts';
import { makeUnit } from './similarity.ts';

/** Who a face is most like. */
export interface PersonMatch {
  readonly id: string;
  /** 0..1 */
  readonly similarity: number;
}

interface Known {
  readonly id: string;
  readonly rows: Rows;
  /** The row of the mean of their embeddings; -1 where that has no direction. */
  readonly mean: number;
}

/**
 * People to match faces against: one recogniser's, of one dimension. One look is compared with each of a person's
 * embeddings, for it may be like one of them; the mean of looks with the mean of them, which leaves out what is a
 * photo's and no person's. What they were known by is erased with them.
 */
export class KnownPeople {
  #index: EmbeddingIndex | null = null;
  #means: EmbeddingIndex | null = null;
  readonly #people = new Map<string, Known>();
  /** By row, and by row of means. */
  #owners: Known[] = [];
  #meanOwners: Known[] = [];

  get size(): number {
    return this.#people.size;
  }

  has(id: string): boolean {
    return this.#people.has(id);
  }

  /**
   * Replaces everyone; embeddings are copied. Those that are not of one dimension leave nobody.
   * @returns the ids of those who are known by the same embeddings as before
   * @throws InferenceError 'run-failed' for embeddings that don't fit each other, or are no numbers
   */
  set(people: readonly KnownPerson[]): ReadonlySet<string> {
    const same = new Set(people.filter((person) => this.#isSame(person)).map(({ id }) => id));
    this.clear();
    const dimension = people.flatMap(({ embeddings }) => embeddings)[0]?.length;
    if (dimension === undefined) return same;
    const [index, means] = [new EmbeddingIndex(dimension), new EmbeddingIndex(dimension)];
    this.#index = index;
    this.#means = means;
    try {
      for (const { id, embeddings } of people) {
        const from = index.size;
        for (const embedding of embeddings) index.add(embedding);
        const known: Known = { id, rows: { from, to: index.size }, mean: addMean(means, embeddings) };
        if (known.mean >= 0) this.#meanOwners.push(known);
        this.#people.set(id, known);
        for (let row = from; row < index.size; row++) this.#owners.push(known);
      }
    } catch (error) {
      this.clear();
      throw error;
    }
    return same;
  }

  /** Erases everyone. */
  clear(): void {
    this.#index?.clear();
    this.#means?.clear();
    this.#index = null;
    this.#means = null;
    this.#people.clear();
    this.#owners = [];
    this.#meanOwners = [];
  }

  /**
   * Who one look is most like.
   * @returns null where nobody is known
   * @throws InferenceError 'run-failed' for an embedding of another dimension, as all of these
   */
  best(look: Float32Array): PersonMatch | null {
    const match = this.#index?.best(look);
    return match ? { id: this.#owners[match.row]!.id, similarity: match.similarity } : null;
  }

  /** Who the mean of looks is nearest to; null where nobody is known. */
  nearest(mean: Float32Array): PersonMatch | null {
    const match = this.#means?.best(mean);
    return match ? { id: this.#meanOwners[match.row]!.id, similarity: match.similarity } : null;
  }

  /**
   * By how much nearer the mean of looks is to one person than to anybody else.
   * @param alike from this similarity on two people are one: who is enrolled twice is not told apart
   * @returns infinite where there is nobody else
   */
  margin(id: string, mean: Float32Array, alike: number): number {
    const row = this.#people.get(id)?.mean ?? -1;
    if (row < 0) return 0;
    const next = this.#means!.best(mean, { from: row, to: row + 1 });
    if (!next || this.areOne(id, this.#meanOwners[next.row]!.id, alike)) return Number.POSITIVE_INFINITY;
    return this.#means!.similarityTo(mean, row) - next.similarity;
  }

  /** Whether two people are one who is enrolled twice. @param alike from this similarity on they are */
  areOne(a: string, b: string, alike: number): boolean {
    const [rowA, rowB] = [this.#people.get(a)?.mean ?? -1, this.#people.get(b)?.mean ?? -1];
    return a === b || (rowA >= 0 && rowB >= 0 && this.#means!.similarityOf(rowA, rowB) >= alike);
  }

  /** Similarity of one look to one person, 0..1; 0 where they are not known. */
  similarityTo(id: string, look: Float32Array): number {
    const rows = this.#people.get(id)?.rows;
    if (!this.#index || !rows) return 0;
    let most = 0;
    for (let row = rows.from; row < rows.to; row++) most = Math.max(most, this.#index.similarityTo(look, row));
    return most;
  }

  /** Nearness of the mean of looks to one person, 0..1; 0 where they are not known. */
  nearnessTo(id: string, mean: Float32Array): number {
    const row = this.#people.get(id)?.mean ?? -1;
    return row < 0 ? 0 : this.#means!.similarityTo(mean, row);
  }

  #isSame({ id, embeddings }: KnownPerson): boolean {
    const known = this.#people.get(id);
    const index = this.#index;
    if (!known || !index || known.rows.to - known.rows.from !== embeddings.length) return false;
    return embeddings.every((embedding, i) => index.equals(known.rows.from + i, embedding));
  }
}

/** @returns its row, or -1 where there is no mean */
function addMean(means: EmbeddingIndex, embeddings: readonly Float32Array[]): number {
  const mean = new Float32Array(means.dimension);
  for (const embedding of embeddings) for (let i = 0; i < mean.length; i++) mean[i]! += embedding[i]!;
  const row = makeUnit(mean) ? means.add(mean) : -1;
  mean.fill(0);
  return row;
}
