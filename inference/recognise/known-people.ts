import type { KnownPerson } from '../policy.ts';
import { EmbeddingIndex, type Rows } from './embedding-index.ts';

/** Who a face is most like. */
export interface PersonMatch {
  readonly id: string;
  /** 0..1, to the embedding of theirs that is nearest. */
  readonly similarity: number;
}

interface Known {
  readonly id: string;
  readonly rows: Rows;
}

/** People to match faces against: one recogniser's, of one dimension. What they were known by is erased with them. */
export class KnownPeople {
  #index: EmbeddingIndex | null = null;
  readonly #people = new Map<string, Known>();
  /** By row. */
  #owners: Known[] = [];

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
    const index = new EmbeddingIndex(dimension);
    this.#index = index;
    try {
      for (const { id, embeddings } of people) {
        const from = index.size;
        for (const embedding of embeddings) index.add(embedding);
        const known: Known = { id, rows: { from, to: index.size } };
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
    this.#index = null;
    this.#people.clear();
    this.#owners = [];
  }

  /**
   * @returns null where nobody is known
   * @throws InferenceError 'run-failed' for an embedding of another dimension
   */
  best(embedding: Float32Array): PersonMatch | null {
    const match = this.#index?.best(embedding);
    return match ? { id: this.#owners[match.row]!.id, similarity: match.similarity } : null;
  }

  /**
   * By how much nearer an embedding is to one person than to anybody else.
   * @param alike from this similarity on two embeddings are one person's: who is enrolled twice is not told apart
   * @returns infinite where there is nobody else
   */
  margin(id: string, embedding: Float32Array, alike: number): number {
    const rows = this.#people.get(id)?.rows;
    const next = rows && this.#index?.best(embedding, rows);
    if (!next || this.#looksLike(rows, next.row, alike)) return Number.POSITIVE_INFINITY;
    return this.similarityTo(id, embedding) - next.similarity;
  }

  /** Similarity to one person, 0..1; 0 where they are not known. */
  similarityTo(id: string, embedding: Float32Array): number {
    const rows = this.#people.get(id)?.rows;
    if (!this.#index || !rows) return 0;
    let most = 0;
    for (let row = rows.from; row < rows.to; row++) most = Math.max(most, this.#index.similarityTo(embedding, row));
    return most;
  }

  #looksLike({ from, to }: Rows, other: number, alike: number): boolean {
    for (let row = from; row < to; row++) if (this.#index!.similarityOf(row, other) >= alike) return true;
    return false;
  }

  #isSame({ id, embeddings }: KnownPerson): boolean {
    const known = this.#people.get(id);
    const index = this.#index;
    if (!known || !index || known.rows.to - known.rows.from !== embeddings.length) return false;
    return embeddings.every((embedding, i) => index.equals(known.rows.from + i, embedding));
  }
}
