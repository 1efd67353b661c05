// A worker in a process of its own, which tests and the bench kill. Each run leaves `begun`, and where it confirms,
// `done`, as lines of one file that all share: what really happened, beside what rows say.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobContext } from '../../../recorder/jobs/job-handlers.ts';
import type { WorkerTerms } from '../../../recorder/jobs/job-worker.ts';
import { handleAll, JobNode, type NodeSettings } from './job-node.ts';

export interface WorkerProcessSettings extends NodeSettings {
  readonly journal: string;
  /** How long one job takes. */
  readonly workMs: number;
  readonly terms: Partial<WorkerTerms>;
}

const settings: WorkerProcessSettings = JSON.parse(process.argv[2]!);
const { journal, workMs, terms } = settings;

const write = (what: string, job: string, attempt: number) => {
  appendFileSync(journal, `${what} ${job} ${attempt} ${process.pid} ${Date.now()}\n`);
};

async function run({ job, attempt, signal, progress, confirm }: JobContext): Promise<void> {
  write('begun', job.id, attempt);
  try {
    for (let done = 0; done < 4; done++) {
      progress('working', done * 25);
      await sleep(workMs / 4, undefined, { signal });
    }
    await confirm();
  } finally {
    write('ended', job.id, attempt);
  }
  write('done', job.id, attempt);
}

const node = await JobNode.open(settings, terms);
node.work(handleAll(run, async (job, attempt) => write('cleaned', job.id, attempt)));
process.on('SIGTERM', async () => {
  await node.close();
  process.exit(0);
});
process.send?.('ready');
