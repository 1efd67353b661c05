// A worker in a process of its own, as `faceblur worker` is, with leases so short that tests can wait for them.
import { createSecretKey } from 'node:crypto';
import { pino } from 'pino';
import { loadServerConfig, type S3Config } from '../../../gateway/config.ts';
import { Database } from '../../../gateway/database/database.ts';
import { createJobHandlers } from '../../../gateway/jobs/job-handlers.ts';
import { openObjectStore } from '../../../gateway/objects/open-store.ts';
import { Vault } from '../../../gateway/secrets/vault.ts';
import { VideoJobs } from '../../../gateway/videos/video-jobs.ts';
import { JobBackend } from '../../../recorder/jobs/job-backend.ts';
import { JobWorker } from '../../../recorder/jobs/job-worker.ts';

export interface VideoWorkerSettings {
  readonly dataDir: string;
  /** Of the vault, in base64. */
  readonly key: string;
  readonly databaseUrl: string | null;
  readonly redisUrl: string | null;
  readonly s3: S3Config | null;
}

const TERMS = {
  ...{ pollMs: 50, leaseMs: 2_000, beatMs: 100, maxAttempts: 100 },
  backoff: { baseMs: 50, capMs: 100 },
};

const settings: VideoWorkerSettings = JSON.parse(process.argv[2]!);
const { dataDir, key, databaseUrl, redisUrl, s3 } = settings;
const { HOME, XDG_CACHE_HOME } = process.env;
const config = { ...loadServerConfig({ HOME, XDG_CACHE_HOME, DATA_DIR: dataDir }), databaseUrl, redisUrl, s3 };
const log = pino({ level: process.env.WORKER_LOG ?? 'silent' }, pino.destination(2));
const database = await Database.open({ dataDir, databaseUrl, log });
const vault = new Vault(createSecretKey(Buffer.from(key, 'base64')));
const store = await openObjectStore({ ...config, vault });
const videos = await VideoJobs.open({ config, database, vault, store, log });
const backend = await JobBackend.open({ store: database.jobs, redisUrl, terms: TERMS, reconcileMs: 300, log });
const { events, dispatch } = backend;
const handlers = createJobHandlers(videos);
const worker = new JobWorker({ store: database.jobs, events, dispatch, handlers, terms: TERMS, log });
process.once('SIGTERM', async () => {
  await worker.close();
  await backend.close();
  await videos.close();
  await store.close();
  await database.close();
  process.exit(0);
});
process.send?.('ready');
