import { createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdaptorServer, type ServerType } from '@hono/node-server';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadServerConfig } from '../../../gateway/config.ts';
import { parseRange } from '../../../gateway/objects/byte-range.ts';
import { OBJECT_LIMITS } from '../../../gateway/objects/object-routes.ts';
import { Vault } from '../../../gateway/secrets/vault.ts';
import { Server } from '../../../gateway/server.ts';
import { objectKey } from '../../../recorder/store/keys.ts';
import { LocalStore } from '../../../recorder/store/local-store.ts';
import { appOf, send } from '../../recorder/store/stores.ts';
import { FakeEngine } from '../fake-engine.ts';
import { errorOf } from '../test-app.ts';

const MIB = 1024 ** 2;
const KEY = objectKey('processed', 'owner', 'video');
const MINUTE = { expiresInSeconds: 60 };
/** What a socket and the streams before it hold of an answer that nobody takes. */
const HELD_BYTES = 16 * MIB;

let folder: string;
let store: LocalStore;
let server: ServerType;

async function serve(limits: Partial<typeof OBJECT_LIMITS> = {}, reservedBytes = 0): Promise<void> {
  let app = appOf({} as LocalStore);
  server = createAdaptorServer({ fetch: (request) => app.fetch(request) }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  store = await LocalStore.open({ folder, signingKey: createSecretKey(randomBytes(32)), baseUrl, reservedBytes });
  app = appOf(store, { ...OBJECT_LIMITS, ...limits });
}

async function unserve(): Promise<void> {
  await store.close();
  if ('closeAllConnections' in server) server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-object-routes-'));
  await serve();
});
afterEach(async () => {
  await unserve();
  await rm(folder, { recursive: true, force: true });
});

const put = (contentType = 'video/mp4', bytes: Uint8Array = Buffer.from('0123456789'), key = KEY) =>
  store.put(key, bytes, { contentType });
const read = async (headers: Record<string, string> = {}, method = 'GET') => {
  const { url } = await store.signGet(KEY, MINUTE);
  return fetch(url, { headers, method });
};
const codeOf = async (response: Response) => (await errorOf(response)).code;
const files = async () => (await readdir(folder, { recursive: true })).filter((name) => /@|\.unfinished/.test(name));

describe('reading an object', () => {
  test('HEAD says what GET brings', async () => {
    await put();
    const [got, headed] = [await read(), await read({}, 'HEAD')];
    expect([headed.status, await headed.text(), await got.text()]).toEqual([200, '', '0123456789']);
    for (const name of ['content-length', 'content-type', 'etag', 'last-modified', 'accept-ranges']) {
      expect(headed.headers.get(name), name).toBe(got.headers.get(name));
      expect(headed.headers.get(name), name).not.toBeNull();
    }
    expect(got.headers.get('content-length')).toBe('10');
  });

  test('what a client has already is not sent again', async () => {
    const { etag } = await put();
    for (const tag of [etag, `"other", ${etag}`, `W/${etag}`, '*']) {
      const response = await read({ 'If-None-Match': tag });
      expect([response.status, await response.text()]).toEqual([304, '']);
    }
    expect((await read({ 'If-None-Match': '"other"' })).status).toBe(200);
  });

  test('ranges, those from the end, those that are none, and those of an object before', async () => {
    const { etag } = await put();
    const ranged = async (headers: Record<string, string>) => {
      const response = await read(headers);
      return [response.status, response.headers.get('content-range'), await response.text()];
    };
    expect(await ranged({ Range: 'bytes=-3' })).toEqual([206, 'bytes 7-9/10', '789']);
    expect(await ranged({ Range: 'bytes=5-', 'If-Range': etag })).toEqual([206, 'bytes 5-9/10', '56789']);
    expect(await ranged({ Range: 'bytes=5-', 'If-Range': '"before"' })).toEqual([200, null, '0123456789']);
    expect(await ranged({ Range: 'bytes=0-1,4-5' })).toEqual([200, null, '0123456789']);
    expect(await ranged({ Range: 'bytes=10-' })).toEqual([416, 'bytes */10', '']);
  });

  test('what was uploaded is shown only where it can run nothing', async () => {
    for (const [type, disposition] of [
      ['video/mp4', /^inline$/],
      ['image/jpeg', /^inline$/],
      ['text/html', /^attachment; /],
      ['image/svg+xml', /^attachment; /],
      ['application/octet-stream', /^attachment; /],
    ] as const) {
      await put(type);
      const { headers } = await read();
      expect(headers.get('content-disposition')).toMatch(disposition);
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*sandbox$/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('private, no-store');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    }
  });

  test('nothing is listed, nothing but objects is reached, and a refusal names no path', async () => {
    await put();
    const { url } = await store.signGet(KEY, MINUTE);
    const { origin, search } = new URL(url);
    const paths = [
      '',
      'processed/',
      'processed/owner/',
      `${KEY}@meta`,
      '%2e%2e%2ffaceblur.db',
      '..%2f..%2fetc%2fpasswd',
    ];
    for (const path of paths) {
      const response = await fetch(`${origin}/objects/${path}${search}`);
      const text = await response.text();
      expect([response.status, JSON.parse(text).error.code], path).toEqual([403, 'forbidden']);
      expect(text).not.toContain(folder);
    }
    await store.delete(KEY);
    const gone = await fetch(url);
    expect([gone.status, await gone.json()]).toEqual([
      404,
      { error: { code: 'not-found', message: expect.any(String) } },
    ]);
  });

  test('a client that takes nothing is let go, and so is one that goes away', async () => {
    await unserve();
    await serve({ idleMs: 200, reads: 1 });
    await put('video/mp4', randomBytes(4 * HELD_BYTES));
    const { url } = await store.signGet(KEY, MINUTE);
    const { port, pathname, search } = new URL(url);
    const ask = `GET ${pathname}${search} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const deaf = connect(Number(port), '127.0.0.1').pause();
    deaf.on('error', () => undefined);
    deaf.write(ask);
    await sleep(100);
    const refused = await fetch(url);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, null]);
    await expect
      .poll(async () => (await fetch(url, { method: 'GET', headers: { Range: 'bytes=0-0' } })).status)
      .toBe(206);
    deaf.destroy();
    const hasty = connect(Number(port), '127.0.0.1');
    hasty.on('error', () => undefined);
    hasty.write(ask);
    await once(hasty, 'data');
    hasty.destroy();
    await expect.poll(async () => (await fetch(url, { headers: { Range: 'bytes=0-0' } })).status).toBe(206);
  });

  test('a slow client gets all of it', async () => {
    await unserve();
    await serve({ idleMs: 300 });
    const bytes = randomBytes(2 * MIB);
    await put('video/mp4', bytes);
    const { body } = await read();
    const chunks: Uint8Array[] = [];
    for await (const chunk of body!) {
      chunks.push(chunk);
      if (chunks.length % 10 === 0) await sleep(100);
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });
});

describe('uploading an object', () => {
  const about = { ...MINUTE, size: 10, contentType: 'video/mp4' };

  test('one that is larger than it was said to be is refused before it is read', async () => {
    const signed = await store.signPut(KEY, about);
    const large = await send(signed, randomBytes(11));
    expect([large.status, await codeOf(large)]).toEqual([413, 'upload-too-large']);
    const small = await send(signed, randomBytes(9));
    expect([small.status, await codeOf(small)]).toEqual([400, 'upload-incomplete']);
    expect(await files()).toEqual([]);
  });

  test('one without a length is counted as it comes', async () => {
    const signed = await store.signPut(KEY, about);
    const sent = async (...chunks: string[]) => {
      const body = new Blob(chunks).stream();
      const { method, url, headers } = signed;
      const response = await fetch(url, { method, headers, body, duplex: 'half' } as RequestInit);
      return [response.status, (await response.text()).slice(0, 45)];
    };
    expect(await sent('01234', '5678')).toEqual([400, expect.stringContaining('upload-incomplete')]);
    expect(await sent('01234', '56789', 'a')).toEqual([413, expect.stringContaining('upload-too-large')]);
    expect(await store.head(KEY)).toBeNull();
    expect(await files()).toEqual([]);
    expect(await sent('01234', '56789')).toEqual([200, '']);
    expect(await store.head(KEY)).toMatchObject({ size: 10 });
  });

  test('wrong bytes are refused by their code', async () => {
    const signed = await store.signPut(KEY, { ...about, sha256: '0'.repeat(64) });
    const response = await send(signed, randomBytes(10));
    expect([response.status, await codeOf(response)]).toEqual([400, 'checksum-mismatch']);
    expect(await files()).toEqual([]);
  });

  test('one that stops, or whose client goes away, leaves nothing and gives its place back', async () => {
    await unserve();
    await serve({ idleMs: 200, writes: 1 });
    const signed = await store.signPut(KEY, about);
    const { port, pathname, search } = new URL(signed.url);
    const half = `PUT ${pathname}${search} HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\nContent-Length: 10\r\n\r\nhalf`;
    const silent = connect(Number(port), '127.0.0.1');
    let answer = '';
    silent.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    silent.write(half);
    await expect.poll(async () => (await files()).length).toBe(1);
    const second = await send(signed, randomBytes(10));
    expect([second.status, await codeOf(second)]).toEqual([429, 'too-many']);
    await expect.poll(() => answer).toMatch(/^HTTP\/1.1 400 .*upload-incomplete/s);
    silent.destroy();
    const gone = connect(Number(port), '127.0.0.1');
    gone.write(half);
    await expect.poll(async () => (await files()).length).toBe(1);
    gone.destroy();
    await expect.poll(files).toEqual([]);
    await expect.poll(async () => (await send(signed, randomBytes(10))).status).toBe(200);
  });

  test('a disk that is short is said to be', async () => {
    await unserve();
    await serve({}, Number.MAX_SAFE_INTEGER);
    const response = await send(await store.signPut(KEY, about), randomBytes(10));
    expect([response.status, await codeOf(response)]).toEqual([503, 'storage-full']);
  });
});

test('an object that is damaged on the disk is not taken for whole', async () => {
  await put('video/mp4', randomBytes(MIB));
  const [data] = (await files()).filter((name) => !name.endsWith('@meta'));
  await truncate(join(folder, data!), MIB / 2);
  const response = await read();
  await expect(response.arrayBuffer()).rejects.toThrow();
});

test('the server serves what any process signs that has its key, and nothing of it to other sites', async () => {
  const key = Buffer.alloc(32, 7);
  const FACEBLUR_ENCRYPTION_KEY = key.toString('base64');
  const ports = { PORT: '0', RTMP_PORT: '0', RTC_PORT: '0' };
  const PAGE = 'https://player.example';
  const config = loadServerConfig({ ...ports, DATA_DIR: folder, FACEBLUR_ENCRYPTION_KEY, CORS_ORIGINS: PAGE });
  const { blurFile } = new FakeEngine();
  const running = await Server.create({ config, blurFile, ready: async () => {}, log: pino({ level: 'silent' }) });
  try {
    const signingKey = new Vault(createSecretKey(key)).deriveKey('object addresses');
    const other = await LocalStore.open({ folder: join(folder, 'objects'), signingKey, baseUrl: running.url });
    const signed = await other.signPut(KEY, { ...MINUTE, size: 4, contentType: 'video/mp4' });
    expect((await send(signed, 'text')).status).toBe(200);
    const { url } = await other.signGet(KEY, MINUTE);
    const own = await fetch(url);
    expect([own.status, await own.text()]).toEqual([200, 'text']);
    expect(own.headers.get('content-security-policy')).toMatch(/sandbox$/);
    expect(own.headers.get('cache-control')).toBe('private, no-store');
    const welcome = await fetch(url, { headers: { Origin: PAGE } });
    expect([welcome.status, welcome.headers.get('access-control-allow-origin')]).toEqual([200, PAGE]);
    expect((await fetch(url, { headers: { Origin: 'https://evil.example' } })).status).toBe(403);
    const forged = await fetch(url.replace(/.$/, '!'));
    expect([forged.status, await forged.json()]).toMatchObject([403, { error: { code: 'forbidden' } }]);
    await other.close();
  } finally {
    await running.close();
  }
});

test.each([
  ['bytes=0-4', 10, { start: 0, end: 4 }],
  ['bytes=4-99', 10, { start: 4, end: 9 }],
  ['bytes=9-', 10, { start: 9, end: 9 }],
  ['bytes=-99', 10, { start: 0, end: 9 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=-1', 0, 'unsatisfiable'],
  ['bytes=4-2', 10, null],
  ['bytes=-', 10, null],
  ['bytes=a-b', 10, null],
  ['items=0-4', 10, null],
  ['bytes=0-1,2-3', 10, null],
  [`bytes=${'9'.repeat(40)}-`, 10, null],
  [undefined, 10, null],
])('the range %s of %i bytes is %j', (header, size, range) => {
  expect(parseRange(header, size)).toEqual(range);
});
