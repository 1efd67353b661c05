import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { jobRoutes } from '../../../gateway/jobs/job-routes.ts';
import { handleAll } from '../../recorder/jobs/job-node.ts';
import { startWsServer, type WsServer } from '../live/ws-server.ts';
import { openJobs } from './open-jobs.ts';

const JOB = { kind: 'analyse', payload: { video: 'secret-title' }, owner: 'ann' } as const;
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
const CONTRACT = [
  'id',
  'kind',
  'state',
  'stage',
  'progress',
  'attempts',
  'error',
  'createdAt',
  'startedAt',
  'finishedAt',
];

let jobs: Awaited<ReturnType<typeof openJobs>>;
let server: WsServer;
beforeEach(async () => {
  jobs = await openJobs();
  server = await startWsServer({ ws: { jobs: jobs.node.queue } });
  server.app.route('/v1/jobs', jobRoutes({ jobs: jobs.node.queue, access: server.access }));
});
afterEach(async () => {
  await server.close();
  await jobs.close();
});

/** What shows a play token, and nothing else. */
async function playToken(): Promise<string> {
  await server.streams.create({ id: 'cam' });
  return server.playTokens.make('cam', new Date(Date.now() + 60_000));
}

describe('/v1/jobs', () => {
  test('tells of a job as the contract has it, and nothing of what it was given', async () => {
    const { queue } = jobs.node;
    const { id } = await queue.enqueue(JOB);
    const { status, headers, body } = await server.call('GET', `/v1/jobs/${id}`);
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body).toMatchObject({ id, kind: 'analyse', state: 'queued', stage: null, progress: 0, attempts: 0 });
    expect(body).toMatchObject({ error: null, createdAt: TIME, startedAt: null, finishedAt: null });
    expect(Object.keys(body)).toEqual(expect.arrayContaining(CONTRACT));
    expect(JSON.stringify(body)).not.toMatch(/secret-title|lease|ann/);
    jobs.node.work(handleAll(async ({ progress }) => progress('decode', 50)));
    await jobs.node.reaches(id, 'done');
    const done = (await server.call('GET', `/v1/jobs/${id.toUpperCase()}`)).body;
    expect(done).toMatchObject({ state: 'done', progress: 100, attempts: 1, startedAt: TIME, finishedAt: TIME });
  });

  test.each([
    ['one that is not there', 'nothing'],
    ['a zero byte', '\0'],
    ['a quote', "'; drop table jobs"],
    ['endless text', 'a'.repeat(5_000)],
  ])('knows no job by %s', async (_, id) => {
    const { status, body } = await server.call('GET', `/v1/jobs/${encodeURIComponent(id)}`);
    expect([status, body.error.code]).toEqual([404, 'job-not-found']);
  });

  test('lists dead jobs and drives one again', async () => {
    let broken = true;
    jobs.node.work(
      handleAll(async () => {
        if (broken) throw new Error('broken');
      }),
    );
    const { id } = await jobs.node.queue.enqueue(JOB);
    await jobs.node.reaches(id, 'dead');
    const { body } = await server.call('GET', '/v1/jobs?state=dead');
    expect(body).toMatchObject({ items: [{ id, state: 'dead', error: { code: 'internal' } }], next: null });
    expect((await server.call('GET', '/v1/jobs')).status).toBe(400);
    expect((await server.call('GET', '/v1/jobs?state=done')).status).toBe(400);
    broken = false;
    const again = await server.call('POST', `/v1/jobs/${id}/redrive`);
    expect([again.status, again.body.state]).toEqual([202, 'queued']);
    await jobs.node.reaches(id, 'done');
    const late = await server.call('POST', `/v1/jobs/${id}/redrive`);
    expect([late.status, late.body.error.code]).toEqual([409, 'job-not-dead']);
    expect((await server.call('POST', '/v1/jobs/nothing/redrive')).status).toBe(404);
  });

  test('needs scope operate', async () => {
    const { id } = await jobs.node.queue.enqueue(JOB);
    const authorization = `Bearer ${await playToken()}`;
    for (const [method, path] of [
      ['GET', `/v1/jobs/${id}`],
      ['GET', '/v1/jobs?state=dead'],
      ['POST', `/v1/jobs/${id}/redrive`],
    ] as const) {
      expect((await server.call(method, path, undefined, { authorization })).status).toBe(403);
    }
  });
});

describe('the topic job:ID', () => {
  test('tells how the job is, then of its progress in order, then of its end', async () => {
    const { id } = await jobs.node.queue.enqueue(JOB);
    const client = await server.connect();
    const answer = await client.request({ type: 'subscribe', topic: `job:${id}` });
    expect(answer).toMatchObject({ ok: true, topic: `job:${id}`, job: { id, state: 'queued' } });
    jobs.node.work(
      handleAll(async ({ progress }) => {
        for (const percent of [20, 60]) {
          progress('render', percent);
          await sleep(120);
        }
      }),
    );
    const done = await client.hears(({ type }) => type === 'job.done');
    expect(done).toMatchObject({ job: id, state: 'done', progress: 100, error: null, finishedAt: TIME });
    const steps = client.events('job.progress');
    expect(steps[0]).toMatchObject({ job: id, state: 'running', progress: 0 });
    expect(steps.map(({ progress }) => progress)).toEqual(
      steps.map(({ progress }) => progress).toSorted((a, b) => a - b),
    );
    expect(steps).toContainEqual(expect.objectContaining({ stage: 'render', progress: 60 }));
    expect(client.heard.at(-1)).toBe(done);
  });

  test('of an ended job says so; subscribing again and leaving are fine', async () => {
    const { id } = await jobs.node.queue.enqueue(JOB);
    await jobs.node.queue.cancel(id);
    const client = await server.connect();
    for (let i = 0; i < 2; i++) {
      const answer = await client.request({ type: 'subscribe', topic: `job:${id}` });
      expect(answer).toMatchObject({ ok: true, job: { state: 'cancelled' } });
    }
    expect(await client.request({ type: 'unsubscribe', topic: `job:${id}` })).toMatchObject({ ok: true });
  });

  test('that is left tells nothing more', async () => {
    const { id } = await jobs.node.queue.enqueue(JOB);
    const client = await server.connect();
    await client.request({ type: 'subscribe', topic: `job:${id}` });
    await client.request({ type: 'unsubscribe', topic: `job:${id}` });
    jobs.node.work(handleAll(async () => {}));
    await jobs.node.reaches(id, 'done');
    // An answer comes after whatever was sent before.
    await client.request({ type: 'unsubscribe', topic: `job:${id}` });
    expect(client.events('job.done')).toEqual([]);
  });

  test('is refused for a job that is not there, to who may only watch, and beyond the bound', async () => {
    const { id } = await jobs.node.queue.enqueue(JOB);
    const client = await server.connect();
    const unknown = await client.request({ type: 'subscribe', topic: 'job:nothing' });
    expect(unknown).toMatchObject({ ok: false, error: { code: 'job-not-found' } });
    await client.request({ type: 'auth', token: await playToken() });
    const refused = await client.request({ type: 'subscribe', topic: `job:${id}` });
    expect(refused).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    const other = await server.connect();
    for (let i = 0; i < 33; i++) {
      const one = await jobs.node.queue.enqueue(JOB);
      const answer = await other.request({ type: 'subscribe', topic: `job:${one.id}` });
      expect(answer).toMatchObject(i < 32 ? { ok: true } : { ok: false, error: { code: 'too-many' } });
    }
  });

  test('ends with its connection', async () => {
    const stops: (() => void)[] = [];
    const { queue } = jobs.node;
    const watch = queue.watch.bind(queue);
    vi.spyOn(queue, 'watch').mockImplementation(async (id, listener) => {
      const watched = await watch(id, listener);
      const stop = vi.fn(watched.stop);
      stops.push(stop);
      return { ...watched, stop };
    });
    const { id } = await queue.enqueue(JOB);
    const client = await server.connect();
    await client.request({ type: 'subscribe', topic: `job:${id}` });
    client.socket.close();
    await vi.waitFor(() => expect(stops[0]).toHaveBeenCalledTimes(1));
  });
});
