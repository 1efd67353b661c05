import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { RecorderError } from '../../../recorder/errors.ts';
import type { JobNews } from '../../../recorder/jobs/job.ts';
import type { JobContext, JobHandlers } from '../../../recorder/jobs/job-handlers.ts';
import { StoredJobQueue } from '../../../recorder/jobs/job-queue.ts';
import { describeColumns } from './column-rig.ts';
import { handleAll } from './job-node.ts';

const JOB = { kind: 'analyse', payload: { video: 'v1' }, owner: 'ann' } as const;
const NOTHING = handleAll(async () => {});

describeColumns('jobs', (rig) => {
  test('a job is done, and is told of as the contract has it', async () => {
    const node = await rig.open();
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
    const node = await rig.open();
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
    const first = await rig.open();
    const { id } = await first.queue.enqueue(JOB);
    await first.close();
    const second = await rig.open();
    second.work(NOTHING);
    await second.reaches(id, 'done');
  });

  test('a full queue says so', async () => {
    const node = await rig.open();
    const { events, dispatch } = node.backend;
    const log = pino({ level: 'silent' });
    const queue = new StoredJobQueue({ store: node.database.jobs, events, dispatch, maxQueued: 2, log });
    await queue.enqueue(JOB);
    await queue.enqueue(JOB);
    await expect(queue.enqueue(JOB)).rejects.toMatchObject({ code: 'job-queue-full' });
    await queue.close();
  });

  test('tiers are served by weight, and the lowest never waits for the others to run dry', async () => {
    const node = await rig.open();
    for (const tier of ['low', 'normal', 'high'] as const) {
      for (let i = 0; i < 20; i++) await node.queue.enqueue({ ...JOB, tier });
    }
    const { redis } = rig.servers;
    const pattern = `${rig.settings.prefix}:*`;
    // Each has a key of its own.
    const told = async () => expect(((await redis!.command('KEYS', pattern)) as string[]).length).toBeGreaterThan(60);
    if (redis) await vi.waitFor(told);
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
    const node = await rig.open({ backoff: { baseMs: 200, capMs: 10_000 } });
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
    const node = await rig.open();
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
    const node = await rig.open();
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
    const node = await rig.open();
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

  test('a job that was cancelled is never done, though its handler ends', async () => {
    const node = await rig.open({ beatMs: 60_000, leaseMs: 120_000 });
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
    const [worker, other] = [await rig.open(), await rig.open()];
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

  test('an idle worker counts its looks, and one that works does not', async () => {
    const node = await rig.open();
    const polls: number[] = [];
    node.work(NOTHING, (count) => polls.push(count));
    await vi.waitFor(() => expect(polls.length).toBeGreaterThan(3), { timeout: 10_000 });
    expect(polls.slice(0, 4)).toEqual([1, 2, 3, 4]);
    const { id } = await node.queue.enqueue(JOB);
    await node.reaches(id, 'done');
    await vi.waitFor(() => expect(polls.lastIndexOf(1)).toBeGreaterThan(0), { timeout: 10_000 });
  });

  test('ended jobs are erased after their time, and no others', async () => {
    const node = await rig.open();
    const waiting = await node.queue.enqueue(JOB);
    const { id } = await node.queue.enqueue(JOB);
    await node.queue.cancel(id);
    expect(await node.database.jobs.sweep(60_000)).toBe(0);
    expect(await node.database.jobs.sweep(0)).toBe(1);
    expect([await node.queue.get(id), (await node.queue.get(waiting.id))?.state]).toEqual([null, 'queued']);
  });

  test('an end that is to be told is one process’s to tell, then again later, and not after it was told', async () => {
    const node = await rig.open();
    const store = node.database.jobs;
    const job = { ...JOB, tier: 'low', idempotencyKey: null } as const;
    for (const [id, notify] of [
      ['told', true],
      ['silent', false],
    ] as const) {
      await store.insert({ ...job, id, notify });
      await store.cancel(id);
    }
    const soon = () => store.claimNotification(() => 100);
    const first = await Promise.all([soon(), soon(), soon()]);
    expect(first.map((claim) => claim && [claim.job.id, claim.tries]).filter(Boolean)).toEqual([['told', 1]]);
    await vi.waitFor(async () => expect(await soon()).toMatchObject({ job: { id: 'told' }, tries: 2 }));
    // Who was slow has no say any more.
    await store.notified('told', 1);
    await vi.waitFor(async () => expect(await soon()).toMatchObject({ tries: 3 }));
    await store.notified('told', 3);
    await sleep(150);
    expect(await soon()).toBeNull();
  });
});
