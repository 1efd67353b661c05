import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { JobWebhooks, type JobWebhooksOptions } from '../../../gateway/jobs/job-webhooks.ts';
import { sendWebhook } from '../../../gateway/jobs/webhook.ts';
import { handleAll } from '../../recorder/jobs/job-node.ts';
import { openJobs } from './open-jobs.ts';

const SECRET = 'a secret of the receiver';
const JOB = { kind: 'render', payload: { video: 'v1' }, owner: 'ann' } as const;
const QUICK = { baseMs: 60, capMs: 120 };

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const received: Received[] = [];
let answer: (response: ServerResponse) => void;
const receiver = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  received.push({ path: request.url ?? '', headers: request.headers, body });
  answer(response);
});

let url: string;
let jobs: Awaited<ReturnType<typeof openJobs>>;
const running: JobWebhooks[] = [];
const logged: string[] = [];

beforeEach(async () => {
  received.length = 0;
  logged.length = 0;
  answer = (response) => response.writeHead(204).end();
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?key=k`;
  jobs = await openJobs({}, true);
  jobs.node.work(handleAll(async () => {}));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((webhooks) => webhooks.close()));
  await jobs.close();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

function start(options: Partial<JobWebhooksOptions> = {}): void {
  const { database, backend } = jobs.node;
  const log = pino({ level: 'trace' }, { write: (line) => logged.push(line) });
  const parts = { store: database.jobs, events: backend.events, target: { url, secret: SECRET }, log };
  running.push(new JobWebhooks({ ...parts, guard: { allowPrivate: true }, pollMs: 50, backoff: QUICK, ...options }));
}

async function doOne(): Promise<string> {
  const { id } = await jobs.node.queue.enqueue(JOB);
  await jobs.node.reaches(id, 'done');
  return id;
}

test('the end of a job is told once, and signed so that the receiver can check it', async () => {
  start();
  const id = await doOne();
  await vi.waitFor(() => expect(received).toHaveLength(1));
  const [{ path, headers, body }] = received as [Received];
  expect([path, headers.host]).toEqual(['/hook?key=k', new URL(url).host]);
  expect(JSON.parse(body)).toMatchObject({ type: 'job.done', job: id, kind: 'render', state: 'done', error: null });
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['faceblur-signature']))!;
  expect(v1).toBe(createHmac('sha256', SECRET).update(`${t}.${body}`).digest('hex'));
  expect(Math.abs(Number(t) - Date.now() / 1000)).toBeLessThan(60);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(received).toHaveLength(1);
});

test('one that fails is tried again under the same delivery, then given up', async () => {
  const statuses = [500, 302];
  answer = (response) => response.writeHead(statuses.shift() ?? 200, { location: '/elsewhere' }).end();
  start();
  await doOne();
  await vi.waitFor(() => expect(received).toHaveLength(3), { timeout: 5_000 });
  expect(new Set(received.map(({ headers }) => headers['faceblur-delivery'])).size).toBe(1);
  // A redirect could lead anywhere.
  expect(new Set(received.map(({ path }) => path))).toEqual(new Set(['/hook?key=k']));
  answer = (response) => response.destroy();
  received.length = 0;
  await Promise.all(running.splice(0).map((webhooks) => webhooks.close()));
  start({ maxTries: 2 });
  await doOne();
  await vi.waitFor(() => expect(logged.join('')).toContain('webhook given up'), { timeout: 5_000 });
  expect(received).toHaveLength(2);
  expect(logged.join('')).not.toMatch(/key=k|secret of/);
});

test('of two nodes one tells, and what one could not tell the other does', async () => {
  start();
  start();
  const ids = await Promise.all([1, 2, 3, 4, 5].map(doOne));
  await vi.waitFor(() => expect(received).toHaveLength(5), { timeout: 5_000 });
  expect(received.map(({ body }) => JSON.parse(body).job).toSorted()).toEqual(ids.toSorted());
});

test('what ended while nobody told is told by the next process', async () => {
  const id = await doOne();
  start();
  await vi.waitFor(() => expect(received).toHaveLength(1));
  expect(JSON.parse(received[0]!.body).job).toBe(id);
});

test('receivers on this machine and its networks are refused, also behind a name', async () => {
  start({ guard: { allowPrivate: false } });
  await doOne();
  await vi.waitFor(() => expect(logged.join('')).toContain('source-refused'), { timeout: 5_000 });
  const lookup = async () => [{ address: '10.0.0.1' }];
  const target = { url: 'https://inside.example/hook', secret: SECRET };
  const message = { delivery: 'd', body: '{}' };
  await expect(sendWebhook(target, message, { allowPrivate: false, lookup })).rejects.toMatchObject({
    code: 'source-refused',
  });
  expect(received).toEqual([]);
});

test('a name is connected to at the address that was looked at', async () => {
  const lookup = async () => [{ address: '127.0.0.1' }];
  const { port } = new URL(url);
  const target = { url: `http://receiver.example:${port}/`, secret: SECRET };
  await sendWebhook(target, { delivery: 'd', body: '{}' }, { allowPrivate: true, lookup });
  expect(received[0]!.headers.host).toBe(`receiver.example:${port}`);
});
