import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { loadServerConfig } from '../../gateway/config.ts';
import { Server } from '../../gateway/server.ts';
import { FakeEngine } from './fake-engine.ts';

let dataDir: string;
let engine: FakeEngine;
let server: Server;

const start = (environment: Record<string, string> = {}) =>
  Server.create({
    config: loadServerConfig({ PORT: '0', RTMP_PORT: '0', RTC_PORT: '0', DATA_DIR: dataDir, ...environment }),
    blurFile: engine.blurFile,
    ready: async () => {},
    log: pino({ level: 'silent' }),
  });
const folders = () => readdir(join(dataDir, 'demo'));

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'faceblur-server-'));
  engine = new FakeEngine();
  server = await start();
});
afterEach(async () => {
  await server.close();
  await rm(dataDir, { recursive: true, force: true });
});

test('a port in use is told in one line that names it', async () => {
  const { port } = new URL(server.url);
  await expect(start({ PORT: port })).rejects.toMatchObject({
    code: 'cannot-listen',
    message: `port ${port} on 127.0.0.1 is in use; set PORT to another one`,
  });
});

test('a second server that finds the port in use leaves the first one’s clips alone', async () => {
  const response = await fetch(`${server.url}/demo/clips`, { method: 'POST', body: 'x' });
  const { id } = (await response.json()) as { id: string };
  await start({ PORT: new URL(server.url).port }).catch(() => {});
  expect((await fetch(`${server.url}/demo/clips/${id}`)).status).toBe(200);
  expect(await folders()).toContain(id);
});

test('a DATA_DIR that cannot be written to is refused by name', async () => {
  await writeFile(join(dataDir, 'file'), '');
  const refused = start({ DATA_DIR: join(dataDir, 'file') });
  await expect(refused).rejects.toMatchObject({ code: 'bad-config', message: expect.stringMatching(/^DATA_DIR /) });
});

test('a key that is not the one things were sealed with stops the start, in one line that does not hold it', async () => {
  await server.close();
  const key = Buffer.alloc(32, 9).toString('base64');
  const error: Error = await start({ FACEBLUR_ENCRYPTION_KEY: key }).catch((error) => error);
  expect(error).toMatchObject({
    code: 'bad-config',
    message: expect.stringMatching(/^FACEBLUR_ENCRYPTION_KEY is not [^\n]+$/),
  });
  expect(error.message).not.toContain(key);
  server = await start();
});

test('a client that goes away in the middle of an upload leaves nothing behind', async () => {
  const upload = request(`${server.url}/demo/clips`, { method: 'POST', headers: { 'content-length': 1000 } });
  upload.on('error', () => {});
  upload.write('some bytes');
  await vi.waitFor(async () => expect(await folders()).toHaveLength(1));
  upload.destroy();
  await vi.waitFor(async () => expect(await folders()).toEqual([]));
});

test('an upload beyond the limit is answered 413 over a real connection, too', async () => {
  await server.close();
  server = await start({ MAX_UPLOAD_BYTES: '1000' });
  const body = new Uint8Array(5_000_000);
  expect((await fetch(`${server.url}/demo/clips`, { method: 'POST', body })).status).toBe(413);
  expect(await folders()).toEqual([]);
});

test('a path that climbs out of the page’s folder leads nowhere, even unnormalised', async () => {
  const { hostname, port } = new URL(server.url);
  for (const path of ['/../package.json', '/..%2f..%2fetc/passwd', '/%2e%2e/package.json', '/./../package.json']) {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname);
      let text = '';
      socket.on('data', (data) => {
        text += data;
      });
      socket.on('close', () => resolve(text));
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  }
});

test('close() ends a running job, an open upload and an idle connection within a second or two', async () => {
  await fetch(`${server.url}/demo/clips`, { method: 'POST', body: 'x' });
  await vi.waitFor(() => expect(engine.running).toBe(1));
  const upload = request(`${server.url}/demo/clips`, { method: 'POST', headers: { 'content-length': 1000 } });
  const uploadEnded = new Promise((resolve) => upload.once('error', resolve).once('response', resolve));
  upload.write('some bytes');
  await vi.waitFor(async () => expect(await folders()).toHaveLength(2));
  const startedAtMs = performance.now();
  await server.close();
  expect(performance.now() - startedAtMs).toBeLessThan(3000);
  expect(engine.running).toBe(0);
  expect(await folders()).toEqual([]);
  await uploadEnded;
});
