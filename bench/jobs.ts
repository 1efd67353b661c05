// A thousand jobs, four workers, one of which is killed every few seconds: is each done, and once in effect?
// `--only in-process` (or SQLite, PostgreSQL, Redis) leaves out columns.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { hasEnded, JOB_TIERS, type JobNews } from '../recorder/jobs/job.ts';
import type { WorkerTerms } from '../recorder/jobs/job-worker.ts';
import { COLUMNS, type Column, ColumnServers } from '../test/recorder/jobs/columns.ts';
import { JobNode } from '../test/recorder/jobs/job-node.ts';
import type { WorkerProcessSettings } from '../test/recorder/jobs/worker-process.ts';
import { mostAtATime, overlaps, readRuns } from './jobs/journal.ts';
import { endWithUs } from './live/end-with-us.ts';
import { type Row, report } from './report.ts';
import { percentile, rounded } from './statistics.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    workers: { type: 'string', default: '4' },
    'kill-every': { type: 'string', default: '3' },
    'work-ms': { type: 'string', default: '160' },
    only: { type: 'string' },
  },
});
const JOBS = Number(values.jobs);
const WORKERS = Number(values.workers);
const KILL_EVERY_MS = Number(values['kill-every']) * 1000;
const WORK_MS = Number(values['work-ms']);
const OWNERS = 5;
/** A lease that is over long before a run of this bench is, and so few of an owner that the bound is met. */
const TERMS: Partial<WorkerTerms> = {
  ...{ concurrency: 2, perOwner: 2, pollMs: 500, leaseMs: 4_000, beatMs: 500, maxAttempts: 5 },
  backoff: { baseMs: 1_000, capMs: 60_000 },
};
const WORKER = join(import.meta.dirname, '../test/recorder/jobs/worker-process.ts');
const LIMIT_MS = 300_000;

async function startWorker(settings: WorkerProcessSettings): Promise<ChildProcess> {
  const child = fork(WORKER, [JSON.stringify(settings)]);
  endWithUs(child);
  await once(child, 'message');
  return child;
}

async function measure(column: Column): Promise<Row> {
  const servers = await ColumnServers.start(column);
  try {
    const shared = await servers.settings();
    const journal = join(shared.dataDir, 'journal');
    writeFileSync(journal, '');
    const settings: WorkerProcessSettings = { ...shared, journal, workMs: WORK_MS, terms: TERMS };
    const node = await JobNode.open(shared, TERMS);
    const ended = new Map<string, JobNews>();
    const owners = new Map<string, string>();
    const enqueuedMs: number[] = [];
    for (let i = 0; i < JOBS; i++) {
      const owner = `owner-${i % OWNERS}`;
      const startMs = performance.now();
      const { id } = await node.queue.enqueue({
        ...{ kind: 'analyse', payload: { video: i }, tier: JOB_TIERS[i % 3]!, owner },
      });
      enqueuedMs.push(performance.now() - startMs);
      owners.set(id, owner);
      await node.queue.watch(id, (news) => hasEnded(news) && ended.set(id, news));
    }

    const startedMs = performance.now();
    const workers = await Promise.all(Array.from({ length: WORKERS }, () => startWorker(settings)));
    const killedAtMs = new Map<number, number>();
    let nextKillMs = performance.now() + KILL_EVERY_MS;
    while (ended.size < JOBS && performance.now() - startedMs < LIMIT_MS) {
      await sleep(50);
      if (performance.now() < nextKillMs) continue;
      const victim = workers.shift()!;
      const exit = once(victim, 'exit');
      victim.kill('SIGKILL');
      await exit;
      killedAtMs.set(victim.pid!, Date.now());
      workers.push(await startWorker(settings));
      nextKillMs = performance.now() + KILL_EVERY_MS;
    }
    const tookMs = performance.now() - startedMs;
    await Promise.all(
      workers.map(async (worker) => {
        const exit = once(worker, 'exit');
        worker.kill('SIGTERM');
        await exit;
      }),
    );
    await node.close();
    const runs = readRuns(readFileSync(journal, 'utf8'), killedAtMs);
    const effects = Map.groupBy(
      runs.filter(({ done }) => done),
      ({ job }) => job,
    );
    const states = Object.groupBy(ended.values(), ({ state }) => state);
    return {
      column: column.name,
      jobs: JOBS,
      killed: killedAtMs.size,
      done: states.done?.length ?? 0,
      'without effect': [...owners.keys()].filter((id) => !effects.has(id)).length,
      'effect twice': [...effects.values()].filter((of) => of.length > 1).length,
      'dead, failed': (states.dead?.length ?? 0) + (states.failed?.length ?? 0),
      lost: JOBS - ended.size,
      'begun again': runs.length - new Set(runs.map(({ job }) => job)).size,
      'two at a time': overlaps(runs),
      'most of an owner': mostAtATime(runs, (job) => owners.get(job)!),
      'enqueue p50 ms': rounded(percentile(enqueuedMs, 50), 1),
      'p99 ms': rounded(percentile(enqueuedMs, 99), 1),
      seconds: rounded(tookMs / 1000, 1),
      'least possible': rounded((JOBS * WORK_MS) / 1000 / (WORKERS * TERMS.concurrency!), 1),
    };
  } finally {
    await servers.stop();
  }
}

const rows: Row[] = [];
for (const column of COLUMNS) {
  if (values.only && !column.name.includes(values.only)) continue;
  if (column.possible) rows.push(await measure(column));
  else console.log(`skipped: ${column.name} (its server is not installed)`);
}
report('jobs', rows, { rows, workMs: WORK_MS, killEveryMs: KILL_EVERY_MS, terms: TERMS });
