import type { Logger } from 'pino';
import type { CacheKey, DiskCache } from './disk-cache.ts';
import type { MemoryCache } from './memory-cache.ts';

const SWEEP_MS = 60_000;

export interface ResultCacheOptions {
  readonly memory: MemoryCache;
  readonly disk: DiskCache;
  readonly log: Logger;
}

export interface ResultCacheStats {
  /** Answers that were given again, from memory or from disk. */
  readonly hits: number;
  readonly misses: number;
  readonly memory: { readonly entries: number; readonly bytes: number };
  readonly disk: { readonly entries: number; readonly bytes: number };
}

/**
 * What was found in pictures, in memory and on disk. It holds embeddings: what is on disk is sealed. A disk that fails
 * costs hits and no answer.
 */
export class ResultCache {
  readonly #memory: MemoryCache;
  readonly #disk: DiskCache;
  readonly #log: Logger;
  readonly #sweeping: NodeJS.Timeout;
  #hits = 0;
  #misses = 0;
  #erasures = 0;

  constructor({ memory, disk, log }: ResultCacheOptions) {
    this.#memory = memory;
    this.#disk = disk;
    this.#log = log;
    this.#sweeping = setInterval(() => void this.#sweep(), SWEEP_MS).unref();
  }

  get stats(): ResultCacheStats {
    return { hits: this.#hits, misses: this.#misses, memory: this.#memory.size, disk: this.#disk.size };
  }

  /**
   * What is known, or else what `make` finds, which is kept where that says so, and unless something was erased
   * meanwhile: it may be the same.
   * @returns whether it was known
   */
  async recall(
    key: CacheKey,
    make: () => Promise<{ readonly text: string; readonly isLasting: boolean }>,
  ): Promise<{ readonly text: string; readonly isHit: boolean }> {
    const erasures = this.#erasures;
    const isWanted = () => this.#erasures === erasures;
    const known = await this.#known(key, isWanted);
    if (known !== null) {
      this.#hits++;
      return { text: known, isHit: true };
    }
    this.#misses++;
    const { text, isLasting } = await make();
    if (isLasting && isWanted()) {
      this.#memory.set(nameOf(key), text);
      await this.#disk.set(key, text, isWanted).catch((error) => this.#warn(error));
    }
    return { text, isHit: false };
  }

  /** Erases all that was answered about a subject, and what is being found just now. @throws Error of the file system */
  async erase(subject: string): Promise<void> {
    this.#erasures++;
    this.#memory.deleteAll(`${subject} `);
    await this.#disk.erase(subject);
  }

  /** @throws Error of the file system */
  async eraseAll(): Promise<void> {
    this.#erasures++;
    this.#memory.deleteAll();
    await this.#disk.eraseAll();
  }

  /** Waits for what is being written. What is on disk stays for its time. */
  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    this.#memory.deleteAll();
    await this.#disk.close();
  }

  async #known(key: CacheKey, isWanted: () => boolean): Promise<string | null> {
    const inMemory = this.#memory.get(nameOf(key));
    if (inMemory !== null) return inMemory;
    const onDisk = await this.#disk.get(key).catch((error) => this.#warn(error));
    if (!onDisk || !isWanted()) return null;
    this.#memory.set(nameOf(key), onDisk.text, onDisk.expiresAt);
    return onDisk.text;
  }

  async #sweep(): Promise<void> {
    this.#memory.sweep();
    await this.#disk.sweep().catch((error) => this.#warn(error));
  }

  #warn(error: NodeJS.ErrnoException): null {
    this.#log.warn({ code: error.code }, 'the cache of still pictures on disk fails');
    return null;
  }
}

function nameOf({ subject, question }: CacheKey): string {
  return `${subject} ${question}`;
}
