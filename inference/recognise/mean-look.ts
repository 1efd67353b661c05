import { makeUnit } from './similarity.ts';

/** Beyond so many looks each one more takes as much of the older ones' weight as it adds. */
const REMEMBERED_LOOKS = 8;

/** What the looks at one face come to: the mean of their embeddings, the later ones weighing more once there are many. */
export class MeanLook {
  #sum: Float32Array | null = null;
  #mean: Float32Array | null = null;
  #count = 0;

  /** How many looks there were. */
  get count(): number {
    return this.#count;
  }

  /** Of unit length, its own; null before the first look. */
  get embedding(): Float32Array | null {
    return this.#mean;
  }

  /** Adds a look's embedding, of unit length. @returns the mean of all, its own until the next one */
  add(embedding: Float32Array): Float32Array {
    this.#sum ??= new Float32Array(embedding.length);
    this.#mean ??= new Float32Array(embedding.length);
    const kept = this.#count < REMEMBERED_LOOKS ? 1 : 1 - 1 / REMEMBERED_LOOKS;
    for (const [i, value] of embedding.entries()) this.#sum[i] = kept * this.#sum[i]! + value;
    this.#mean.set(this.#sum);
    makeUnit(this.#mean);
    this.#count++;
    return this.#mean;
  }

  /** Erases all. */
  clear(): void {
    this.#sum?.fill(0);
    this.#mean?.fill(0);
    this.#sum = null;
    this.#mean = null;
    this.#count = 0;
  }
}
