import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { RecorderError } from '../../../recorder/errors.ts';
import type { JobNews } from '../../../recorder/jobs/job.ts';
import type { JobContext, JobHandlers } from '../../../recorder/jobs/job-handlers.ts';
import { StoredJobQueue } from '../../../recorder/jobs/job-queue.ts';
import type { WorkerTerms } from '../../../recorder/jobs/job-worker.ts';
import { COLUMNS, ColumnServers } from './columns.ts';
import { handleAll, JobNode, type NodeSettings, TEST_TERMS } from './job-node.ts';
import type { WorkerProcessSettings } from './worker-process.ts';

const JOB = { kind: 'analyse', payload: { video: 'v1' }, owner: 'ann' } as const;
const NOTHING = handleAll(async () => {});

/** Ends when it is told to stop, as handlers do. */
const untilAborted = ({ signal }: JobContext) => sleep(60_000, undefined, { signal }) as Promise<void>;

describe.each(COLUMNS)('jobs on $name', (column) => {
  describe.skipIf(!column.possible)('', () => {
    let servers: ColumnServers;
    let settings: NodeSettings;
    const nodes: JobNode[] = [];
    const children: ChildProcess[] = [];

    beforeAll(async () => {
      servers = await ColumnServers.start(column);
    });

    afterAll(() => servers?.stop());

    beforeEach(async () => {
      settings = await servers.settings();
    });

    afterEach(async () => {
      for (const child of children.splice(0)) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }
      await Promise.all(nodes.splice(0).map((node) => node.close()));
    });

    async function open(terms: Partial<WorkerTerms> = {}, shared = settings): Promise<JobNode> {
      const node = await JobNode.open(shared, terms);
      nodes.push(node);
      return node;
    }

    async function forkWorker(workMs: number, terms: Partial<WorkerTerms> = {}) {
      const journal = join(settings.dataDir, 'journal');
      writeFileSync(journal, '', { flag: 'a' });
      const given: WorkerProcessSettings = { ...settings, journal, workMs, terms: { ...TEST_TERMS, ...terms } };
      const child = fork(join(import.meta.dirname, 'worker-process.ts'), [JSON.stringify(given)]);
      children.push(child);
      await once(child, 'message');
      const lines = (what: string) =>
        readFileSync(journal, 'utf8')
          .split('\n')
          .map((line) => line.split(' '))
          .filter(([said]) => said === what)
          .map(([, job, attempt]) => `${job} ${attempt}`);
      return { child, lines };
    }

    test('a job is done, and is told of as the contract has it', async () => {
      const node = await open();
      const seen: JobContext[] = [];
      node.work(handleAll(async (context) => void seen.push(context)));
      const queued = await node.queue.enqueue(JOB);
      expect(queued).toMatchObject({ kind: 'analyse', tier: 'normal', state: 'queued', progress: 0, attempts: 0 });
      const done = await node.reaches(queued.id, 'done');
      expect(done).toMatchObject({ progress: 100, attempts: 1, error: null });
      expect(done.createdAt <= done.startedAt! && done.startedAt! <= done.finishedAt!).toBe(true);
      expect(seen.map(({ job, attempt }) => [job.payload, attempt])).toEqual([[{ video: 'v1' }, 1]]);
    });

    test('of one owner, the same idempotency key is the same job, and nothing else', async () => {
      const node = await open();
      const request = { ...JOB, idempotencyKey: 'once' };
      const [first, ...others] = await Promise.all([1, 2, 3].map(() => node.queue.enqueue(request)));
      expect(new Set(others.map(({ id }) => id))).toEqual(new Set([first!.id]));
      await expect(node.queue.enqueue({ ...request, payload: { video: 'v2' } })).rejects.toMatchObject({
        code: 'job-conflict',
      });
      expect((await node.queue.enqueue({ ...request, owner: 'bob' })).id).not.toBe(first!.id);
      expect(await node.database.jobs.countQueued()).toBe(2);
    });

    test('what is queued when a process ends is done by the next', async () => {
      const first = await open();
      const { id } = await first.queue.enqueue(JOB);
      await first.close();
      nodes.splice(0);
      const second = await open();
      second.work(NOTHING);
      await second.reaches(id, 'done');
    });

    test('a full queue says so', async () => {
      const node = await open();
      const { events, dispatch } = node.backend;
      const log = pino({ level: 'silent' });
      const queue = new StoredJobQueue({ store: node.database.jobs, events, dispatch, maxQueued: 2, log });
      await queue.enqueue(JOB);
      await queue.enqueue(JOB);
      await expect(queue.enqueue(JOB)).rejects.toMatchObject({ code: 'job-queue-full' });
      await queue.close();
    });

    test('tiers are served by weight, and the lowest never waits for the others to run dry', async () => {
      const node = await open();
      for (const tier of ['low', 'normal', 'high'] as const) {
        for (let i = 0; i < 20; i++) await node.queue.enqueue({ ...JOB, tier });
      }
      const order: string[] = [];
      node.work(handleAll(async ({ job }) => void order.push(job.tier)));
      await vi.waitFor(() => expect(order).toHaveLength(60), { timeout: 30_000 });
      for (const [from, to] of [
        [0, 10],
        [10, 20],
      ]) {
        const ten = order.slice(from, to);
        expect(['high', 'normal', 'low'].map((tier) => ten.filter((one) => one === tier).length)).toEqual([6, 3, 1]);
      }
    });

    test('a failed attempt is tried again, later each time', async () => {
      const node = await open({ backoff: { baseMs: 200, capMs: 10_000 } });
      const begunAtMs: number[] = [];
      node.work(
        handleAll(async ({ attempt }) => {
          begunAtMs.push(performance.now());
          if (attempt < 3) throw new Error('/secret/path broke');
        }),
      );
      const { id } = await node.queue.enqueue(JOB);
      expect(await node.reaches(id, 'done')).toMatchObject({ attempts: 3, error: null });
      const [first, second] = [begunAtMs[1]! - begunAtMs[0]!, begunAtMs[2]! - begunAtMs[1]!];
      // Half of what the backoff may be is the least that it is.
      expect(first).toBeGreaterThan(95);
      expect(second).toBeGreaterThan(195);
    });

    test('after its last attempt a job is dead, without telling secrets, and can be driven again', async () => {
      const node = await open();
      let broken = true;
      node.work(
        handleAll(async () => {
          if (broken) throw new Error('/secret/path broke');
        }),
      );
      const { id } = await node.queue.enqueue(JOB);
      const dead = await node.reaches(id, 'dead');
      expect(dead).toMatchObject({
        attempts: 3,
        error: { code: 'internal', message: expect.not.stringContaining('/') },
      });
      expect((await node.queue.listDead(10)).map((job) => job.id)).toEqual([id]);
      broken = false;
      expect(await node.queue.redrive(id)).toMatchObject({ state: 'queued', attempts: 0, error: null });
      expect(await node.reaches(id, 'done')).toMatchObject({ attempts: 1 });
      await expect(node.queue.redrive(id)).rejects.toMatchObject({ code: 'job-not-dead' });
      await expect(node.queue.redrive('nothing')).rejects.toMatchObject({ code: 'job-not-found' });
    });

    test('what can not be worked on fails at once; what nobody can do is dead at once', async () => {
      const node = await open();
      const run = async () => {
        throw new RecorderError('job-rejected', 'this is no video');
      };
      const handlers: JobHandlers = new Map([['analyse', { run }]]);
      node.work(handlers);
      const bad = await node.queue.enqueue(JOB);
      const unknown = await node.queue.enqueue({ ...JOB, kind: 'render' });
      expect(await node.reaches(bad.id, 'failed')).toMatchObject({
        attempts: 1,
        error: { code: 'job-rejected', message: 'this is no video' },
      });
      expect(await node.reaches(unknown.id, 'dead')).toMatchObject({
        error: { code: 'no-handler', message: "this worker can't do render jobs (it can do: analyse)" },
      });
    });

    test('a queued job is cancelled at once and never begun', async () => {
      const node = await open();
      const { id } = await node.queue.enqueue(JOB);
      expect(await node.queue.cancel(id)).toMatchObject({ state: 'cancelled' });
      const other = await node.queue.enqueue(JOB);
      const run = vi.fn(async () => {});
      node.work(handleAll(run));
      await node.reaches(other.id, 'done');
      expect(run).toHaveBeenCalledTimes(1);
      await expect(node.queue.cancel('nothing')).rejects.toMatchObject({ code: 'job-not-found' });
      expect(await node.queue.cancel(other.id)).toMatchObject({ state: 'done' });
    });

    test('a running job is cancelled from another node, cleaned up after, and not tried again', async () => {
      const [worker, other] = [await open(), await open()];
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

    test('a job that was cancelled is never done, though its handler ends', async () => {
      const node = await open({ beatMs: 60_000, leaseMs: 120_000 });
      const { dispatch } = node.backend;
      let cancel = async () => {};
      node.work(handleAll(() => cancel()));
      // Nobody is told: the attempt finds out when it writes its end.
      cancel = async () => void (await node.database.jobs.cancel(id));
      const job = await node.database.jobs.insert({
        ...{ id: 'late', kind: 'analyse', tier: 'normal', owner: 'ann', payload: {} },
        ...{ idempotencyKey: null, notify: false },
      });
      const { id } = job.job;
      dispatch.offer(job.job);
      expect(await node.reaches(id, 'cancelled')).toMatchObject({ progress: 0 });
    });

    test('progress is told in order, from wherever the job runs', async () => {
      const [worker, other] = [await open(), await open()];
      worker.work(
        handleAll(async ({ progress }) => {
          for (const percent of [10, 40, 70, 100]) {
            progress(percent < 50 ? 'decode' : 'write', percent);
            await sleep(150);
          }
        }),
      );
      const { id } = await other.queue.enqueue(JOB);
      const seen: JobNews[] = [];
      const { job } = await other.queue.watch(id, (news) => seen.push(news));
      seen.unshift(job);
      await vi.waitFor(() => expect(seen.at(-1)!.state).toBe('done'), { timeout: 20_000 });
      const revisions = seen.map(({ revision }) => revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
      const steps = seen.filter(({ stage }) => stage !== null).map(({ progress }) => progress);
      expect(steps.length).toBeGreaterThan(1);
      expect(steps).toEqual([...steps].sort((a, b) => a - b));
      expect(steps.at(-1)).toBe(100);
      expect(new Set(seen.map(({ stage }) => stage))).toContain('write');
    });

    test('of one owner only so many run at a time, over all nodes, and others go past', async () => {
      const terms = { perOwner: 2, concurrency: 4 };
      const [first, second] = [await open(terms), await open(terms)];
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
      const both = [await open({ concurrency: 3 }), await open({ concurrency: 3 })];
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
      const [first, second] = [await open(), await open()];
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
      const node = await open();
      const { child, lines } = await forkWorker(60_000);
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
      const node = await open();
      const { child, lines } = await forkWorker(60_000);
      const { id } = await node.queue.enqueue(JOB);
      await vi.waitFor(() => expect(lines('begun')).toEqual([`${id} 1`]), { timeout: 20_000 });
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
      expect(await node.queue.get(id)).toMatchObject({ state: 'queued', attempts: 0 });
      expect([lines('cleaned'), lines('done')]).toEqual([[`${id} 1`], []]);
    });

    test('a job at which every worker dies is dead in the end', async () => {
      const node = await open({ leaseMs: 400, maxAttempts: 2 });
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
      const node = await open();
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

    test('an idle worker counts its looks, and one that works does not', async () => {
      const node = await open();
      const polls: number[] = [];
      node.work(NOTHING, (count) => polls.push(count));
      await vi.waitFor(() => expect(polls.length).toBeGreaterThan(3), { timeout: 10_000 });
      expect(polls.slice(0, 4)).toEqual([1, 2, 3, 4]);
      const { id } = await node.queue.enqueue(JOB);
      await node.reaches(id, 'done');
      await vi.waitFor(() => expect(polls.lastIndexOf(1)).toBeGreaterThan(0), { timeout: 10_000 });
    });

    test('ended jobs are erased after their time, and no others', async () => {
      const node = await open();
      const waiting = await node.queue.enqueue(JOB);
      const { id } = await node.queue.enqueue(JOB);
      await node.queue.cancel(id);
      expect(await node.database.jobs.sweep(60_000)).toBe(0);
      expect(await node.database.jobs.sweep(0)).toBe(1);
      expect([await node.queue.get(id), (await node.queue.get(waiting.id))?.state]).toEqual([null, 'queued']);
    });
  });
});
