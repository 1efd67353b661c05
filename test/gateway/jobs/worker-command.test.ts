import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { JobNode } from '../../recorder/jobs/job-node.ts';
import { hasRedis, RedisServer } from '../../setup/redis-server.ts';
import { endChildren, faceblur, Running } from '../run-cli.ts';

/** Names no video, so whoever works on it refuses it. */
const JOB = { kind: 'analyse', payload: {}, owner: 'ann' } as const;

let DATA_DIR: string;
beforeEach(async () => {
  DATA_DIR = await mkdtemp(join(tmpdir(), 'faceblur-worker-'));
});
afterEach(async () => {
  await endChildren();
  await rm(DATA_DIR, { recursive: true, force: true });
});

test('a worker leaves after so many idle looks, with exit code 0', async () => {
  const { code, stdout, stderr } = await faceblur(['worker', '--leave-after', '2'], { env: { DATA_DIR } });
  expect([code, stdout]).toEqual([0, '']);
  const lines = stderr.trim().split('\n');
  const said: string[] = lines.map((line) => JSON.parse(line).msg);
  expect(said.filter((msg) => msg.startsWith('worker'))).toEqual(['worker started', 'worker ended']);
});

test('a worker takes jobs that another process queued, and ends in order on SIGTERM', async () => {
  const node = await JobNode.open({ dataDir: DATA_DIR, databaseUrl: null, redisUrl: null, prefix: '' });
  try {
    const { id } = await node.queue.enqueue(JOB);
    const worker = new Running(['worker'], { env: { DATA_DIR } });
    expect(await node.reaches(id, 'failed')).toMatchObject({ attempts: 1, error: { code: 'job-rejected' } });
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
  } finally {
    await node.close();
  }
});

test.each([
  ['REDIS_URL', 'redis://:hunter2@127.0.0.1:1', /^faceblur: REDIS_URL: no Redis answers at 127\.0\.0\.1:1: [^\n]+\n$/],
  ['DATABASE_URL', 'postgres://a:hunter2@127.0.0.1:1/b', /^faceblur: DATABASE_URL: [^\n]+\n$/],
  ['JOB_CONCURRENCY', 'hunter2', /^faceblur: JOB_CONCURRENCY must be a whole number\n$/],
])('an unusable %s stops its start in one line', async (name, value, line) => {
  const env = { DATA_DIR, LOG_LEVEL: 'silent', [name]: value };
  const { code, stderr } = await faceblur(['worker'], { env });
  expect([code, stderr]).toEqual([2, expect.stringMatching(line)]);
  expect(stderr).not.toContain('hunter2');
});

test('its help says what it does', async () => {
  const { code, stdout } = await faceblur(['worker', '--help']);
  expect(code).toBe(0);
  for (const word of ['REDIS_URL', 'DATABASE_URL', 'JOB_CONCURRENCY', '--leave-after', 'redrive', 'Examples:']) {
    expect(stdout).toContain(word);
  }
  const refused = await faceblur(['worker', '--leave-after', '0'], { env: { DATA_DIR } });
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/^faceblur: [^\n]*leave-after[^\n]*\n$/)]);
});

test.skipIf(!hasRedis)('a worker does the same with Redis', async () => {
  const redis = await RedisServer.start();
  const settings = { dataDir: DATA_DIR, databaseUrl: null, redisUrl: redis.url(), prefix: '{faceblur}' };
  const node = await JobNode.open(settings);
  try {
    const worker = new Running(['worker'], { env: { DATA_DIR, REDIS_URL: redis.url() } });
    const { id } = await node.queue.enqueue(JOB);
    await node.reaches(id, 'failed');
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
  } finally {
    await node.close();
    await redis.stop();
  }
});
