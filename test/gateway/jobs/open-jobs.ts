import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkerTerms } from '../../../recorder/jobs/job-worker.ts';
import { JobNode } from '../../recorder/jobs/job-node.ts';

/** Jobs in a SQLite file of their own, without Redis. */
export async function openJobs(terms: Partial<WorkerTerms> = {}, notify = false) {
  const dataDir = mkdtempSync(join(tmpdir(), 'faceblur-jobs-'));
  const node = await JobNode.open({ dataDir, databaseUrl: null, redisUrl: null, prefix: '' }, terms, notify);
  const close = async () => {
    await node.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { node, dataDir, close };
}
