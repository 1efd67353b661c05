import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { measureLeaks } from '../../../bench/leak-measure.ts';
import { type FaceClip, makeFaceClip } from '../../clips/face-clip.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { PEOPLE_TOLD } from '../../clips/live-detector.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { hasPostgres, PostgresServer } from '../../setup/postgres-server.ts';
import { hasRedis, RedisServer } from '../../setup/redis-server.ts';
import { hasS3Server, S3Server } from '../../setup/s3-server.ts';
import { shownPerson } from './shown-person.ts';
import { VideoRig } from './video-rig.ts';
import type { VideoWorkerSettings } from './video-worker-process.ts';

const MAX_LEAKED_PER_1000 = 5;
const MIN_KEPT_VISIBLE = 0.9;
const areThere = hasPostgres && hasRedis && hasS3Server;

const folder = temporaryFolder();

describe.skipIf(!areThere)('on PostgreSQL, Redis and an S3 server, with a worker of its own', () => {
  let postgres: PostgresServer;
  let redis: RedisServer;
  let s3Server: S3Server;
  let rig: VideoRig;
  let worker: ChildProcess;
  let clip: FaceClip;
  let bytes: Buffer;
  let databaseUrl: string;

  beforeAll(async () => {
    [postgres, redis, s3Server] = await Promise.all([PostgresServer.start(), RedisServer.start(), S3Server.start()]);
    clip = await makeFaceClip(join(folder, 'in.mp4'), { width: 1280, height: 720, seconds: 1.5 }, FIVE_PEOPLE);
    bytes = readFileSync(clip.path);
    databaseUrl = await postgres.createDatabase();
    const redisUrl = redis.url();
    const { bucket, endpoint, region, credentials, forcePathStyle } = await s3Server.createBucket();
    const s3 = { bucket, endpoint: endpoint!, region, credentials: credentials!, forcePathStyle: forcePathStyle! };
    rig = await VideoRig.open({ databaseUrl, redisUrl, s3, concurrency: 0 });
    const { dataDir, key } = rig;
    const settings: VideoWorkerSettings = { dataDir, key: key.toString('base64'), databaseUrl, redisUrl, s3 };
    worker = fork(join(import.meta.dirname, 'video-worker-process.ts'), [JSON.stringify(settings)]);
    await once(worker, 'message');
  });
  afterAll(async () => {
    if (worker?.exitCode === null) {
      const ended = once(worker, 'exit');
      worker.kill('SIGTERM');
      await ended;
    }
    await rig?.close();
    await Promise.all([postgres?.stop(), redis?.stop(), s3Server?.stop()]);
  });

  test('a clip goes through upload, faces, choice and render to a download, and is erased', async () => {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const id = await rig.analysed(bytes, { sha256 });
    expect(await rig.state(id)).toMatchObject({ width: 1280, height: 720, faces: PEOPLE_TOLD });
    expect(await rig.faces(id)).toHaveLength(PEOPLE_TOLD);
    await rig.call('PATCH', `/v1/videos/${id}/faces/3`, { visible: true });
    await rig.rendered(id);
    const output = join(folder, 'out.mp4');
    const downloaded = await rig.fetched(`/v1/videos/${id}/download`);
    expect(new URL(downloaded.url).port).not.toBe(new URL(rig.url).port);
    writeFileSync(output, Buffer.from(await downloaded.arrayBuffer()));
    const keep = [shownPerson(JSON.parse((await rig.download(id, 'report')).toString()), clip.truth)];
    const figures = await measureLeaks({ source: clip.path, output, truth: clip.truth, keep });
    expect(figures.keptVisible).toBeGreaterThan(MIN_KEPT_VISIBLE);
    expect(figures.leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);

    const playlist = await (await rig.fetched(`/v1/videos/${id}/hls`)).text();
    const [segments] = /https?:\S+?(?="|\s)/.exec(playlist)!;
    expect((await fetch(segments, { headers: { range: 'bytes=0-9' } })).status).toBe(206);

    const copy = await rig.analysed(bytes);
    expect((await rig.state(copy)).similarTo).toEqual([id]);
    for (const one of [id, copy]) expect((await rig.call('DELETE', `/v1/videos/${one}`)).status).toBe(204);
    expect(await rig.objects()).toEqual([]);
    for (const table of ['videos', 'video_shown_faces', 'jobs']) {
      const [row] = await postgres.query(`select count(*)::int as count from ${table}`, databaseUrl);
      expect(row, table).toEqual({ count: 0 });
    }
  });

  test('parts are sent straight to the bucket; others than declared are found out by the job', async () => {
    const size = 70 * 2 ** 20;
    const all = Buffer.concat([bytes, Buffer.alloc(size - bytes.length)]);
    const send = async (sha256: string) => {
      const { body } = await rig.call('POST', '/v1/videos', { filename: 'a.mp4', size, sha256 });
      const parts: { number: number; etag: string }[] = [];
      for (const { number, url } of body.upload.parts) {
        const part = all.subarray((number - 1) * body.upload.partSize, number * body.upload.partSize);
        const sent = await fetch(url, { method: 'PUT', body: part });
        parts.push({ number, etag: sent.headers.get('etag')! });
      }
      expect((await rig.call('POST', `/v1/videos/${body.id}/complete`, { parts })).status).toBe(202);
      return body.id as string;
    };
    const right = await send(createHash('sha256').update(all).digest('hex'));
    await rig.reaches(right, 'ready');
    const wrong = await send('0'.repeat(64));
    expect((await rig.reaches(wrong, 'failed')).error.code).toBe('checksum-mismatch');
    await expect.poll(async () => (await rig.objects()).filter((key) => key.includes(wrong))).toEqual([]);
    await rig.call('DELETE', `/v1/videos/${right}`);
  });

  test('cancelled before it is complete, nothing of it is left in the bucket', async () => {
    const { body } = await rig.call('POST', '/v1/videos', { filename: 'a.mp4', size: 70 * 2 ** 20 });
    await fetch(body.upload.parts[0].url, { method: 'PUT', body: Buffer.alloc(body.upload.partSize) });
    expect((await rig.call('POST', `/v1/videos/${body.id}/cancel`)).status).toBe(202);
    const late = await fetch(body.upload.parts[1].url, { method: 'PUT', body: Buffer.alloc(body.upload.partSize) });
    expect(late.status).toBe(404);
    expect(await rig.objects()).toEqual([]);
  });
});
