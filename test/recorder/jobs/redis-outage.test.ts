import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { hasRedis } from '../../setup/redis-server.ts';
import { COLUMNS, ColumnServers } from './columns.ts';
import { handleAll, JobNode, type NodeSettings } from './job-node.ts';

const JOB = { kind: 'analyse', payload: { video: 'v1' }, owner: 'ann' } as const;
/** Longer than anything here may take that does not need Redis, and much shorter than waiting for it. */
const AT_ONCE_MS = 2_000;
/** A server that does not close in so long is ended hard. */
const CLOSE_LIMIT_MS = 4_500;

const column = COLUMNS.find(({ rows, carrier }) => rows === 'SQLite' && carrier === 'Redis')!;

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const late = sleep(limitMs, undefined, { ref: false }).then(() => {
    throw new Error(`not within ${limitMs} ms`);
  });
  return Promise.race([work, late]);
}

describe.skipIf(!hasRedis)('while Redis is away', () => {
  let servers: ColumnServers;
  let settings: NodeSettings;
  let node: JobNode;

  beforeAll(async () => {
    servers = await ColumnServers.start(column);
  });
  afterAll(() => servers?.stop());
  beforeEach(async () => {
    settings = await servers.settings();
    node = await JobNode.open(settings);
  });
  afterEach(async () => {
    servers.redis!.thaw();
    await node.close();
  });

  const complaints = () => node.logged.filter(({ msg }) => msg.startsWith('Redis is away'));

  test('at the start, that is told in one line, without the password', async () => {
    const { redis } = servers;
    const wrong = JobNode.open({ ...settings, redisUrl: redis!.url('hunter2') });
    await expect(within(AT_ONCE_MS, wrong)).rejects.toMatchObject({
      code: 'redis-unreachable',
      message: expect.stringMatching(/^no Redis answers at 127\.0\.0\.1:\d+: WRONGPASS [^\n]+$/),
    });
    await expect(wrong).rejects.not.toMatchObject({ message: expect.stringContaining('hunter2') });
    const nobody = JobNode.open({ ...settings, redisUrl: 'redis://:hunter2@127.0.0.1:1' });
    await expect(within(AT_ONCE_MS, nobody)).rejects.toMatchObject({
      code: 'redis-unreachable',
      message: expect.stringMatching(/^no Redis answers at 127\.0\.0\.1:1: [^\n]*ECONNREFUSED[^\n]*$/),
    });
  });

  test('jobs are taken in, running ones end, and all are done once it is back, having forgotten everything', async () => {
    const begun: string[] = [];
    const free = Promise.withResolvers<void>();
    node.work(
      handleAll(async ({ job }) => {
        begun.push(job.id);
        if (begun.length === 1) await free.promise;
      }),
    );
    const running = await node.queue.enqueue(JOB);
    const waiting = await node.queue.enqueue(JOB);
    await node.reaches(running.id, 'running');
    await servers.redis!.kill();
    const taken = [];
    for (let i = 0; i < 3; i++) taken.push(await within(AT_ONCE_MS, node.queue.enqueue(JOB)));
    await vi.waitFor(() => expect(complaints()).toHaveLength(2), { timeout: 5_000 });
    free.resolve();
    expect(await within(AT_ONCE_MS, node.reaches(running.id, 'done'))).toMatchObject({ attempts: 1 });
    await servers.redis!.startAgain();
    const all = [waiting, ...taken].map(({ id }) => id);
    for (const id of all) expect(await node.reaches(id, 'done')).toMatchObject({ attempts: 1 });
    expect(begun.toSorted()).toEqual([running.id, ...all].toSorted());
    // One a connection, however long it was away.
    expect(complaints()).toHaveLength(2);
  });

  test('what it was told and has lost is told again', async () => {
    const jobs = await Promise.all(Array.from({ length: 5 }, () => node.queue.enqueue(JOB)));
    await vi.waitFor(async () => expect(await servers.redis!.command('DBSIZE')).toBeGreaterThan(5));
    await servers.redis!.command('FLUSHALL');
    node.work(handleAll(async () => {}));
    for (const { id } of jobs) await node.reaches(id, 'done');
  });

  test('a node closes in time, and hands back what it was at', async () => {
    const worker = node.work(handleAll(({ signal }) => sleep(60_000, undefined, { signal })));
    const { id } = await node.queue.enqueue(JOB);
    await node.reaches(id, 'running');
    await servers.redis!.kill();
    await within(AT_ONCE_MS, worker.close());
    expect(await node.queue.get(id)).toMatchObject({ state: 'queued', attempts: 0 });
    await within(CLOSE_LIMIT_MS, node.close());
    await servers.redis!.startAgain();
  });

  test('one that hangs holds up neither those who ask for jobs nor the end of a node', async () => {
    node.work(handleAll(({ signal }) => sleep(60_000, undefined, { signal })));
    const running = await node.queue.enqueue(JOB);
    await node.reaches(running.id, 'running');
    servers.redis!.freeze();
    const { id } = await within(AT_ONCE_MS, node.queue.enqueue(JOB));
    expect(await within(AT_ONCE_MS, node.queue.get(id))).toMatchObject({ state: 'queued' });
    await within(CLOSE_LIMIT_MS, node.close());
    servers.redis!.thaw();
    node = await JobNode.open(settings);
    expect(await node.queue.get(running.id)).toMatchObject({ state: 'queued' });
    node.work(handleAll(async () => {}));
    await node.reaches(running.id, 'done');
    await node.reaches(id, 'done');
  });
});
