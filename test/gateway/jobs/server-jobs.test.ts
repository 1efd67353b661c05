import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { loadServerConfig } from '../../../gateway/config.ts';
import { Server } from '../../../gateway/server.ts';
import { handleAll, JobNode } from '../../recorder/jobs/job-node.ts';
import { hasRedis, RedisServer } from '../../setup/redis-server.ts';
import { FakeEngine } from '../fake-engine.ts';
import { WsClient } from '../live/ws-server.ts';

/** Names no video, so whoever works on it refuses it. */
const JOB = { kind: 'render', payload: {}, owner: 'ann' } as const;
/** Longer than anything that does not wait for Redis. */
const AT_ONCE_MS = 3_000;

let dataDir: string;
const open: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'faceblur-server-'));
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(environment: Record<string, string> = {}): Promise<Server> {
  const server = await Server.create({
    config: loadServerConfig({ PORT: '0', RTMP_PORT: '0', RTC_PORT: '0', DATA_DIR: dataDir, ...environment }),
    blurFile: new FakeEngine().blurFile,
    ready: async () => {},
    log: pino({ level: 'silent' }),
  });
  open.push(server);
  return server;
}

async function joinIn(redisUrl: string | null): Promise<JobNode> {
  const node = await JobNode.open({ dataDir, databaseUrl: null, redisUrl, prefix: '{faceblur}' });
  open.push(node);
  return node;
}

const at = (server: Server, path: string) => fetch(server.url + path, { signal: AbortSignal.timeout(AT_ONCE_MS) });

test('a server works on jobs that others queue, and tells of them', async () => {
  const server = await start();
  expect((await at(server, '/v1/jobs/nothing')).status).toBe(404);
  const node = await joinIn(null);
  const { id } = await node.queue.enqueue(JOB);
  await node.reaches(id, 'failed');
  expect(await (await at(server, `/v1/jobs/${id}`)).json()).toMatchObject({ id, error: { code: 'job-rejected' } });
});

test('with JOB_CONCURRENCY=0 it leaves them to others, and its sockets hear what those do', async () => {
  const server = await start({ JOB_CONCURRENCY: '0' });
  const node = await joinIn(null);
  const { id } = await node.queue.enqueue(JOB);
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`);
  const client = new WsClient(socket);
  await once(socket, 'open');
  // Longer than a worker sleeps between two looks.
  await sleep(1_500);
  const answer = await client.request({ type: 'subscribe', topic: `job:${id}` });
  expect(answer).toMatchObject({ ok: true, job: { state: 'queued' } });
  node.work(handleAll(async () => {}));
  const done = await client.hears(({ type }) => type === 'job.done');
  expect(done).toMatchObject({ job: id, state: 'done', progress: 100 });
  socket.close();
});

test('a Redis that is not there stops the start by name', async () => {
  await expect(start({ REDIS_URL: 'redis://:hunter2@127.0.0.1:1' })).rejects.toMatchObject({
    code: 'bad-config',
    message: expect.stringMatching(/^REDIS_URL: no Redis answers at 127\.0\.0\.1:1: [^\n]*ECONNREFUSED[^\n]*$/),
  });
});

test.skipIf(!hasRedis)('streams and routes do not notice that Redis is gone', async () => {
  const redis = await RedisServer.start();
  open.push({ close: () => redis.stop() });
  const server = await start({ REDIS_URL: redis.url() });
  const node = await joinIn(redis.url());
  const { id } = await node.queue.enqueue(JOB);
  await node.reaches(id, 'failed');
  redis.freeze();
  const body = JSON.stringify({ id: 'cam' });
  const headers = { 'content-type': 'application/json' };
  const options = { method: 'POST', headers, body, signal: AbortSignal.timeout(AT_ONCE_MS) };
  expect((await fetch(`${server.url}/v1/streams`, options)).status).toBe(201);
  expect((await at(server, '/readyz')).status).toBe(200);
  expect((await at(server, `/v1/jobs/${id}`)).status).toBe(200);
  redis.thaw();
  await redis.kill();
  expect((await at(server, '/v1/streams')).status).toBe(200);
  expect((await at(server, `/v1/jobs/${id}`)).status).toBe(200);
});
