import type { JobNews } from './job.ts';

export type JobListener = (news: JobNews) => void;

/**
 * Tells of jobs as they change. News may be lost or come twice, and in any order: `revision` tells which is newer, and
 * the store knows.
 */
export interface JobEvents {
  /** Tells everybody, here and, where there are several nodes, there. Never fails, and waits for nothing. */
  publish(news: JobNews): void;
  /** @returns its unsubscribe */
  subscribe(listener: JobListener): () => void;
  close(): Promise<void>;
}

/** News within this process. */
export class LocalJobEvents implements JobEvents {
  readonly #listeners = new Set<JobListener>();

  publish(news: JobNews): void {
    for (const listener of this.#listeners) listener(news);
  }

  subscribe(listener: JobListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}
