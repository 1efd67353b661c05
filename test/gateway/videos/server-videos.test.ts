import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { loadServerConfig } from '../../../gateway/config.ts';
import { Server } from '../../../gateway/server.ts';
import { makeFaceClip } from '../../clips/face-clip.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { FakeEngine } from '../fake-engine.ts';

const folder = temporaryFolder();

test('the server itself takes videos, works on them, and takes a job up again after it was started anew', async () => {
  const clip = readFileSync((await makeFaceClip(join(folder, 'in.mp4'))).path);
  const dataDir = await mkdtemp(join(tmpdir(), 'faceblur-server-'));
  const { HOME, XDG_CACHE_HOME } = process.env;
  const start = () =>
    Server.create({
      config: loadServerConfig({
        ...{ HOME, XDG_CACHE_HOME, DATA_DIR: dataDir },
        ...{ PORT: '0', RTMP_PORT: '0', RTC_PORT: '0' },
      }),
      blurFile: new FakeEngine().blurFile,
      ready: async () => {},
      log: pino({ level: 'silent' }),
    });
  let server = await start();
  try {
    const call = async (method: string, path: string, body?: object) => {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${server.url}/v1/videos${path}`, { method, headers, body: JSON.stringify(body) });
      // biome-ignore lint/suspicious/noExplicitAny: tests assert on what they read
      return (response.status === 204 ? null : await response.json()) as any;
    };
    const { id, upload } = await call('POST', '', { filename: 'in.mp4', size: clip.length });
    expect(upload.url).toMatch(new RegExp(`^${server.url}/objects/original/`));
    expect((await fetch(upload.url, { method: 'PUT', headers: upload.headers, body: clip })).status).toBe(200);
    expect((await call('POST', `/${id}/complete`)).state).toBe('analysing');
    await server.close();
    expect(await readdir(join(dataDir, 'work'))).toEqual([]);
    server = await start();
    await expect.poll(async () => (await call('GET', `/${id}`)).state, { timeout: 60_000 }).toBe('ready');
    expect((await call('GET', `/${id}/faces`)).items).toHaveLength(4);
    await call('DELETE', `/${id}`);
    expect((await call('GET', '')).items).toEqual([]);
  } finally {
    await server.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
