import { pino } from 'pino';
import { Database } from '../../../gateway/database/database.ts';
import type { JobNews, JobRecord } from '../../../recorder/jobs/job.ts';
import { JobBackend } from '../../../recorder/jobs/job-backend.ts';
import type { JobContext, JobHandler, JobHandlers } from '../../../recorder/jobs/job-handlers.ts';
import { StoredJobQueue } from '../../../recorder/jobs/job-queue.ts';
import { JobWorker, type WorkerTerms } from '../../../recorder/jobs/job-worker.ts';

/** What nodes that share jobs have in common. */
export interface NodeSettings {
  readonly dataDir: string;
  readonly databaseUrl: string | null;
  readonly redisUrl: string | null;
  readonly prefix: string;
}

/** Times short enough for tests; a lease still outlasts a busy machine's hiccups. */
export const TEST_TERMS: Partial<WorkerTerms> = {
  concurrency: 1,
  perOwner: 100,
  pollMs: 50,
  leaseMs: 3_000,
  beatMs: 50,
  maxAttempts: 3,
  backoff: { baseMs: 40, capMs: 100 },
};

/** A process's share of the jobs: database, queue, and workers as asked for. */
export class JobNode {
  readonly database: Database;
  readonly queue: StoredJobQueue;
  readonly backend: JobBackend;
  readonly logged: { level: number; msg: string }[];
  readonly #workers: JobWorker[] = [];
  readonly #terms: Partial<WorkerTerms>;
  #closing: Promise<void> | undefined;

  static async open(settings: NodeSettings, terms: Partial<WorkerTerms> = {}, notify = false): Promise<JobNode> {
    const logged: { level: number; msg: string }[] = [];
    const log = pino({ level: 'debug' }, { write: (line) => logged.push(JSON.parse(line)) });
    const database = await Database.open({ ...settings, log });
    const all = { ...TEST_TERMS, ...terms };
    const { redisUrl, prefix } = settings;
    const options = { store: database.jobs, redisUrl, prefix, terms: all, reconcileMs: 300, log };
    const backend = await JobBackend.open(options).catch(async (error) => {
      await database.close();
      throw error;
    });
    const { events, dispatch } = backend;
    const queue = new StoredJobQueue({ store: database.jobs, events, dispatch, watchPollMs: 200, notify, log });
    return new JobNode({ database, queue, backend, logged }, all);
  }

  private constructor(parts: Pick<JobNode, 'database' | 'queue' | 'backend' | 'logged'>, terms: Partial<WorkerTerms>) {
    this.database = parts.database;
    this.queue = parts.queue;
    this.backend = parts.backend;
    this.logged = parts.logged;
    this.#terms = terms;
  }

  work(handlers: JobHandlers, onIdle?: (polls: number) => void): JobWorker {
    const { events, dispatch } = this.backend;
    const log = pino({ level: 'debug' }, { write: (line) => this.logged.push(JSON.parse(line)) });
    const parts = { store: this.database.jobs, events, dispatch, handlers, terms: this.#terms, log };
    const worker = new JobWorker({ ...parts, ...(onIdle && { onIdle }) });
    this.#workers.push(worker);
    return worker;
  }

  /** Resolves with the job once it is as told. */
  async reaches(id: string, state: JobRecord['state'], limitMs = 20_000): Promise<JobNews> {
    return new Promise((resolve, reject) => {
      const seen: string[] = [];
      const look = (news: JobNews) => {
        seen.push(news.state);
        if (news.state === state) finish(() => resolve(news));
      };
      let stop = () => {};
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        stop();
        settle();
      };
      const timer = setTimeout(() => {
        finish(() => reject(new Error(`job ${id} is not ${state} but was ${seen.join(', ')}`)));
      }, limitMs);
      this.queue.watch(id, look).then(
        (watched) => {
          stop = watched.stop;
          look(watched.job);
        },
        (error) => finish(() => reject(error)),
      );
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await this.queue.close();
    await this.backend.close();
    await this.database.close();
  }
}

/** The same handler for every kind. */
export function handleAll(run: (context: JobContext) => Promise<void>, cleanUp?: JobHandler['cleanUp']): JobHandlers {
  const handler = { run, ...(cleanUp && { cleanUp }) };
  return new Map((['analyse', 'render', 'finalise'] as const).map((kind) => [kind, handler]));
}
