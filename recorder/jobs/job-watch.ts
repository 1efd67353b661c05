import type { Logger } from 'pino';
import { hasEnded, type JobNews, newsOf } from './job.ts';
import type { JobEvents, JobListener } from './job-events.ts';
import type { JobStore } from './job-store.ts';

export interface JobWatchOptions {
  readonly store: JobStore;
  readonly events: JobEvents;
  readonly pollMs: number;
  readonly log: Logger;
}

interface Watcher {
  readonly listener: JobListener;
  /** Of the newest that it knows; null before it is told how the job is. */
  revision: number | null;
  /** What came before that. */
  early: JobNews | null;
  /** It was told of the end. One that is driven again is heard of from whoever did that. */
  over: boolean;
}

/** Ids in one query. */
const MAX_BATCH = 500;

/**
 * Hands on news to those who watch a job, each newer than the last. Rows are asked as well, so that news from a process
 * that can't tell us, or that got lost, is only late.
 */
export class JobWatch {
  readonly #options: JobWatchOptions;
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | null = null;
  #polling = false;

  constructor(options: JobWatchOptions) {
    this.#options = options;
    this.#unsubscribe = options.events.subscribe((news) => this.#tell(news));
  }

  /** Tells nothing before `begin` is called with what the listener knows. */
  add(id: string, listener: JobListener): { begin: (now: JobNews) => void; stop: () => void } {
    const watcher: Watcher = { listener, revision: null, early: null, over: false };
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers.add(watcher));
    this.#timer ??= setInterval(() => void this.#poll(), this.#options.pollMs).unref();
    const begin = (now: JobNews) => {
      const { early } = watcher;
      watcher.revision = now.revision;
      watcher.over = hasEnded(now);
      watcher.early = null;
      if (early && early.revision > now.revision) queueMicrotask(() => tell(watcher, early));
    };
    const stop = () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(id) === watchers) this.#watchers.delete(id);
      if (this.#watchers.size === 0) this.#rest();
    };
    return { begin, stop };
  }

  close(): void {
    this.#unsubscribe();
    this.#watchers.clear();
    this.#rest();
  }

  #rest(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tell(news: JobNews): void {
    for (const watcher of this.#watchers.get(news.id) ?? []) tell(watcher, news);
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      const ids = [...this.#watchers].flatMap(([id, watchers]) => ([...watchers].every(isOver) ? [] : [id]));
      for (let i = 0; i < ids.length; i += MAX_BATCH) {
        for (const job of await this.#options.store.getMany(ids.slice(i, i + MAX_BATCH))) this.#tell(newsOf(job));
      }
    } catch (error) {
      this.#options.log.warn({ err: error }, 'jobs that are watched could not be looked at');
    } finally {
      this.#polling = false;
    }
  }
}

const isOver = ({ over }: Watcher) => over;

function tell(watcher: Watcher, news: JobNews): void {
  if (watcher.revision === null) {
    if (news.revision > (watcher.early?.revision ?? 0)) watcher.early = news;
  } else if (news.revision > watcher.revision) {
    watcher.revision = news.revision;
    watcher.over = hasEnded(news);
    watcher.listener(news);
  }
}
