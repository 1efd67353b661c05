import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { JobContext } from '../../../recorder/jobs/job-handlers.ts';
import { describeColumns } from './column-rig.ts';
import { handleAll } from './job-node.ts';

const JOB = { kind: 'analyse', payload: { video: 'v1' }, owner: 'ann' } as const;
const NOTHING = handleAll(async () => {});

/** Ends when it is told to stop, as handlers do. */
const untilAborted = ({ signal }: JobContext) => sleep(60_000, undefined, { signal }) as Promise<void>;

describeColumns('jobs of several nodes', (rig) => {
  test('a running job is cancelled from another node, cleaned up after, and not tried again', async () => {
    const [worker, other] = [await rig.open(), await rig.open()];
    const reasons: unknown[] = [];
    const cleaned: string[] = [];
    worker.work(
      handleAll(
        async (context) => {
          await untilAborted(context).catch((error) => {
            reasons.push(context.signal.reason.code);
            throw error;
          });
        },
        async (job, attempt) => void cleaned.push(`${job.id} ${attempt}`),
      ),
    );
    const { id } = await other.queue.enqueue(JOB);
    await other.reaches(id, 'running');
    expect(await other.queue.cancel(id)).toMatchObject({ state: 'running', cancelRequested: true });
    expect(await other.reaches(id, 'cancelled')).toMatchObject({ attempts: 1, error: null });
    expect([reasons, cleaned]).toEqual([['job-cancelled'], [`${id} 1`]]);
  });

  test('of one owner only so many run at a time, over all nodes, and others go past', async () => {
    const terms = { perOwner: 2, concurrency: 4 };
    const [first, second] = [await rig.open(terms), await rig.open(terms)];
    const running = { ann: 0, bob: 0 };
    const most = { ann: 0, bob: 0 };
    const handlers = handleAll(async ({ job }) => {
      const owner = job.owner as 'ann' | 'bob';
      most[owner] = Math.max(most[owner], ++running[owner]);
      await sleep(60);
      running[owner]--;
    });
    const jobs = [];
    for (let i = 0; i < 12; i++) jobs.push(await first.queue.enqueue(JOB));
    const late = await first.queue.enqueue({ ...JOB, owner: 'bob' });
    first.work(handlers);
    second.work(handlers);
    await first.reaches(late.id, 'done');
    const left = await first.database.jobs.getMany(jobs.map(({ id }) => id));
    expect(left.some(({ state }) => state === 'queued')).toBe(true);
    await Promise.all(jobs.map(({ id }) => first.reaches(id, 'done')));
    expect(most).toEqual({ ann: 2, bob: 1 });
  });

  test('two nodes never have one job', async () => {
    const both = [await rig.open({ concurrency: 3 }), await rig.open({ concurrency: 3 })];
    const begun: string[] = [];
    const handlers = handleAll(async ({ job }) => {
      begun.push(job.id);
      await sleep(5);
    });
    for (const node of both) node.work(handlers);
    const jobs = await Promise.all(Array.from({ length: 60 }, (_, i) => both[i % 2]!.queue.enqueue(JOB)));
    await Promise.all(jobs.map(({ id }) => both[0]!.reaches(id, 'done')));
    expect(begun).toHaveLength(60);
    expect(new Set(begun)).toEqual(new Set(jobs.map(({ id }) => id)));
  });

  test('a closing worker hands its job back, and that is no failed attempt', async () => {
    const [first, second] = [await rig.open(), await rig.open()];
    const cleaned = vi.fn(async () => {});
    const closing = first.work(handleAll(untilAborted, cleaned));
    const { id } = await first.queue.enqueue(JOB);
    await first.reaches(id, 'running');
    await closing.close();
    expect(await first.queue.get(id)).toMatchObject({ state: 'queued', attempts: 0, error: null });
    expect(cleaned).toHaveBeenCalledWith(expect.objectContaining({ id }), 1);
    second.work(NOTHING);
    expect(await second.reaches(id, 'done')).toMatchObject({ attempts: 1 });
  });

  test('the job of a process that was killed is taken over, and what it left is cleaned up', async () => {
    const node = await rig.open();
    const { child, lines } = await rig.fork(60_000);
    const { id } = await node.queue.enqueue(JOB);
    await vi.waitFor(() => expect(lines('begun')).toEqual([`${id} 1`]), { timeout: 20_000 });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const cleaned: string[] = [];
    node.work(
      handleAll(
        async () => {},
        async (job, attempt) => void cleaned.push(`${job.id} ${attempt}`),
      ),
    );
    expect(await node.reaches(id, 'done')).toMatchObject({ attempts: 2 });
    expect(cleaned).toEqual([`${id} 1`]);
  });

  test('a process that is told to end by SIGTERM hands its job back first', async () => {
    const node = await rig.open();
    const { child, lines } = await rig.fork(60_000);
    const { id } = await node.queue.enqueue(JOB);
    await vi.waitFor(() => expect(lines('begun')).toEqual([`${id} 1`]), { timeout: 20_000 });
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    expect(await node.queue.get(id)).toMatchObject({ state: 'queued', attempts: 0 });
    expect([lines('cleaned'), lines('done')]).toEqual([[`${id} 1`], []]);
  });

  test('a job at which every worker dies is dead in the end', async () => {
    const node = await rig.open({ leaseMs: 400, maxAttempts: 2 });
    const { id } = await node.queue.enqueue(JOB);
    // Workers that were gone before they could do anything.
    const terms = { leaseMs: 1, perOwner: 100 };
    for (const lease of ['a', 'b']) {
      await vi.waitFor(async () => {
        const claimed = await node.database.jobs.claim(id, { ...terms, lease });
        expect(claimed).toHaveProperty('job');
      });
    }
    const run = vi.fn(async () => {});
    node.work(handleAll(run));
    expect(await node.reaches(id, 'dead')).toMatchObject({ attempts: 2, error: { code: 'worker-lost' } });
    expect(run).not.toHaveBeenCalled();
  });

  test('a worker whose lease is lost may not end the job, and is told to stop', async () => {
    const node = await rig.open();
    const codes: unknown[] = [];
    let lease = '';
    const claimNext = node.database.jobs.claimNext.bind(node.database.jobs);
    const claim = node.database.jobs.claim.bind(node.database.jobs);
    vi.spyOn(node.database.jobs, 'claimNext').mockImplementation((tiers, terms) => {
      lease = terms.lease;
      return claimNext(tiers, terms);
    });
    vi.spyOn(node.database.jobs, 'claim').mockImplementation((id, terms) => {
      lease = terms.lease;
      return claim(id, terms);
    });
    node.work(
      handleAll(async (context) => {
        const { job, attempt, confirm } = context;
        if (attempt > 1) return;
        // As if this process had slept through its lease.
        await node.database.jobs.settle(job.id, lease, { state: 'queued', delayMs: 0, error: null, counted: true });
        await confirm().catch((error) => {
          codes.push(error.code);
          throw error;
        });
      }),
    );
    const { id } = await node.queue.enqueue(JOB);
    expect(await node.reaches(id, 'done')).toMatchObject({ attempts: 2 });
    expect(codes).toEqual(['lease-lost']);
  });
});
