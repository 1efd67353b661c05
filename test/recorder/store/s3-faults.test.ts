import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keyPrefix, objectKey } from '../../../recorder/store/keys.ts';
import { CappedRetry } from '../../../recorder/store/s3-retry.ts';
import { S3Store, type S3StoreOptions } from '../../../recorder/store/s3-store.ts';
import { hasS3Server, S3Server } from '../../setup/s3-server.ts';
import { type Fault, FaultProxy, type SeenRequest } from './fault-proxy.ts';
import { bytesOf, openS3, type TestStore } from './stores.ts';

const MIB = 1024 ** 2;
const TEXT = { contentType: 'text/plain' };
/** As in operation, but for the time that it takes. */
const RETRY = { maxAttempts: 4, baseDelayMs: 20, maxDelayMs: 100 };
const IDLE_MS = 500;
const KEY = objectKey('original', 'owner', 'video');

async function* chunksOf(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB);
}

describe.skipIf(!hasS3Server)('a bucket behind a bad way', () => {
  let server: S3Server;
  let direct: TestStore;
  let proxy: FaultProxy;
  let store: S3Store;

  beforeAll(async () => {
    server = await S3Server.start();
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    let options: S3StoreOptions | null = null;
    const createBucket = async () => {
      options = await server.createBucket();
      return options;
    };
    direct = await openS3({ createBucket } as S3Server);
    proxy = await FaultProxy.start(server.url);
    store = new S3Store({ ...options!, endpoint: proxy.url, retry: RETRY, idleMs: IDLE_MS });
  });
  afterEach(async () => {
    await store.close();
    await proxy.stop();
    await direct.close();
  });

  /** The first `times` requests that `matches` meet with `fault`. */
  function fails(fault: Fault, times: number, matches: (seen: SeenRequest) => boolean = () => true): void {
    let left = times;
    proxy.fault = (seen) => (matches(seen) && left-- > 0 ? fault : null);
  }
  const isPart = (number: number) => (seen: SeenRequest) => seen.url.includes(`partNumber=${number}&`);
  const read = async () => bytesOf((await direct.store.get(KEY)).stream);

  const FAULTS: [string, Fault][] = [
    ['connections that are reset', { kind: 'reset' }],
    ['answers that are lost', { kind: 'lose-answer' }],
    ['a server that says nothing', { kind: 'silence' }],
    ['503 SlowDown', { kind: 'status', status: 503, code: 'SlowDown' }],
    ['500 InternalError', { kind: 'status', status: 500, code: 'InternalError' }],
    ['429', { kind: 'status', status: 429, code: 'TooManyRequests' }],
    ['a checksum that the server refuses', { kind: 'status', status: 400, code: 'BadDigest' }],
    ['bytes that are damaged on the way', { kind: 'damage' }],
  ];

  test.each(FAULTS)('a put gets through %s', async (_name, fault) => {
    fails(fault, 2);
    await store.put(KEY, Buffer.from('some text'), TEXT);
    expect((await read()).toString()).toBe('some text');
    expect(proxy.seen.length).toBe(3);
  });

  test.each(FAULTS)('an upload of parts gets through %s, at each of its steps', async (_name, fault) => {
    const bytes = randomBytes(20 * MIB);
    const met = new Map<string, number>();
    // Once for each thing that is asked.
    proxy.fault = ({ method, url }) => {
      const what = `${method} ${url.split('?')[1]?.replace(/uploadId=[^&]*/, '')}`;
      met.set(what, (met.get(what) ?? 0) + 1);
      // A body that is damaged has to be one of bytes: of XML the server says that it can't be read.
      const hasBytes = fault.kind !== 'damage' || method === 'PUT';
      return met.get(what) === 1 && hasBytes ? fault : null;
    };
    const stored = await store.put(KEY, chunksOf(bytes), TEXT);
    expect(stored.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect((await read()).equals(bytes)).toBe(true);
    // Begun, three parts and completed, twice each.
    expect(met.size).toBe(5);
    // The answer that is lost is that of a begun upload: nobody knows its id, so it is the sweep's.
    const orphans = fault.kind === 'lose-answer' ? 1 : 0;
    expect(await direct.leftovers()).toHaveLength(orphans);
    expect(await direct.store.sweep(new Date(Date.now() + 60_000))).toBe(orphans);
    expect((await read()).equals(bytes)).toBe(true);
  });

  test('an upload of which one part fails for good ends at once, and leaves nothing', async () => {
    fails({ kind: 'status', status: 500, code: 'InternalError' }, Infinity, isPart(2));
    let given = 0;
    const endless = async function* () {
      for (;;) {
        given += MIB;
        yield randomBytes(MIB);
      }
    };
    await expect(store.put(KEY, endless(), TEXT)).rejects.toMatchObject({
      code: 'store-unreachable',
      isBucketFault: true,
      message: expect.stringContaining('InternalError'),
    });
    expect(given).toBeLessThan(400 * MIB);
    expect(await direct.leftovers()).toEqual([]);
    expect(await direct.store.head(KEY)).toBeNull();
  });

  test('an outage ends with an error that says what, and the store goes on after it', async () => {
    fails({ kind: 'reset' }, Infinity);
    const started = performance.now();
    await expect(store.put(KEY, Buffer.from('text'), TEXT)).rejects.toMatchObject({
      code: 'store-unreachable',
      message: 'the object store does not answer; see S3_ENDPOINT',
    });
    await expect(store.head(KEY)).rejects.toMatchObject({ code: 'store-unreachable' });
    await expect(store.check()).rejects.toMatchObject({ code: 'store-unreachable' });
    await expect(store.list(keyPrefix('original', 'owner'))).rejects.toMatchObject({ code: 'store-unreachable' });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(proxy.seen.length).toBe(4 * RETRY.maxAttempts);
    proxy.fault = () => null;
    await store.put(KEY, Buffer.from('text'), TEXT);
    expect((await read()).toString()).toBe('text');
  });

  test('nobody listens', async () => {
    await proxy.stop();
    await expect(store.head(KEY)).rejects.toMatchObject({ code: 'store-unreachable' });
    proxy = await FaultProxy.start(server.url);
  });

  test('an abort ends the wait for a store that says nothing', async () => {
    fails({ kind: 'silence' }, Infinity);
    const signal = AbortSignal.timeout(100);
    const started = performance.now();
    await expect(store.put(KEY, Buffer.from('text'), { ...TEXT, signal })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(performance.now() - started).toBeLessThan(IDLE_MS);
  });

  test('what is refused is asked once, and told apart from an outage', async () => {
    for (const [status, code] of [
      [403, 'AccessDenied'],
      [403, 'InvalidAccessKeyId'],
      [400, 'MalformedXML'],
    ] as const) {
      proxy.seen.length = 0;
      fails({ kind: 'status', status, code }, Infinity);
      await expect(store.put(KEY, Buffer.from('text'), TEXT)).rejects.toMatchObject({
        code: 'store-refused',
        message: expect.stringContaining(code),
      });
      expect(proxy.seen.length).toBe(1);
    }
    fails({ kind: 'status', status: 507, code: 'XMinioStorageFull' }, Infinity);
    await expect(store.put(KEY, Buffer.from('text'), TEXT)).rejects.toMatchObject({ code: 'storage-full' });
  });

  test.each<[string, Fault]>([
    ['breaks', { kind: 'cut', bytes: 3 * MIB }],
    ['stalls', { kind: 'stall', bytes: 3 * MIB }],
  ])('a read whose connection %s in mid-body goes on where it was', async (_name, fault) => {
    const bytes = randomBytes(10 * MIB);
    const { sha256 } = await direct.store.put(KEY, bytes, TEXT);
    fails(fault, 2, ({ method }) => method === 'GET');
    const { stream } = await store.get(KEY, { sha256 });
    expect((await bytesOf(stream)).equals(bytes)).toBe(true);
    const ranges = proxy.seen.map(({ headers }) => headers.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges).toHaveLength(3);
    for (const range of ranges.slice(1)) expect(range).toMatch(new RegExp(`^bytes=[1-9]\\d+-${10 * MIB - 1}$`));
    fails(fault, 1);
    const part = await store.get(KEY, { range: { start: MIB, end: 9 * MIB - 1 } });
    expect((await bytesOf(part.stream)).equals(bytes.subarray(MIB, 9 * MIB))).toBe(true);
  });

  test('a read does not go on in another content', async () => {
    await direct.store.put(KEY, randomBytes(10 * MIB), TEXT);
    fails({ kind: 'cut', bytes: 3 * MIB }, 1);
    const { stream } = await store.get(KEY);
    await direct.store.put(KEY, randomBytes(10 * MIB), TEXT);
    await expect(bytesOf(stream)).rejects.toMatchObject({ code: 'checksum-mismatch' });
  });

  test('a read that brings nothing more fails, and one that is given up lets go', async () => {
    await direct.store.put(KEY, randomBytes(10 * MIB), TEXT);
    fails({ kind: 'cut', bytes: 0 }, Infinity);
    const { stream } = await store.get(KEY);
    await expect(bytesOf(stream)).rejects.toMatchObject({ code: 'store-unreachable' });
    proxy.fault = () => null;
    const unread = await store.get(KEY);
    unread.stream.destroy();
    const half = await store.get(KEY);
    for await (const _chunk of half.stream) break;
    const abort = new AbortController();
    const aborted = await store.get(KEY, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(bytesOf(aborted.stream)).rejects.toThrow();
    await expect.poll(() => [unread, half, aborted].every(({ stream }) => stream.destroyed)).toBe(true);
  });

  test('a completion whose answer is lost is not taken for one that failed, nor is another upload’s', async () => {
    const id = await store.createMultipart(KEY, TEXT);
    const bytes = randomBytes(1000);
    const signed = await store.signPart(KEY, id, 1, { expiresInSeconds: 60, size: bytes.length });
    const { headers } = await fetch(signed.url, { method: 'PUT', body: bytes });
    const parts = [{ number: 1, etag: headers.get('etag')! }];
    // The test's server remembers what was completed; others do not.
    const forgets = () => {
      const answers: (Fault | null)[] = [
        { kind: 'lose-answer' },
        { kind: 'status', status: 404, code: 'NoSuchUpload' },
      ];
      proxy.fault = ({ method }) => (method === 'POST' ? (answers.shift() ?? null) : null);
    };
    forgets();
    expect(await store.completeMultipart(KEY, id, parts)).toMatchObject({ size: 1000 });
    forgets();
    const others = [{ number: 1, etag: createHash('md5').update('others').digest('hex') }];
    await expect(store.completeMultipart(KEY, id, others)).rejects.toMatchObject({ code: 'upload-not-found' });
  });

  test('every put says which bytes it has, and nothing that only some servers know', async () => {
    await store.put(KEY, Buffer.from('text'), TEXT);
    await store.put(KEY, chunksOf(randomBytes(9 * MIB)), TEXT);
    const puts = proxy.seen.filter(({ method }) => method === 'PUT');
    expect(puts.length).toBe(3);
    for (const { headers } of puts) {
      expect(headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/);
      expect(headers['transfer-encoding'] ?? headers['content-encoding'] ?? headers.expect).toBeUndefined();
      expect(Object.keys(headers).filter((name) => /checksum|trailer|acl/.test(name))).toEqual([]);
    }
  });
});

describe('waits between attempts', () => {
  type RetryErrorInfo = Parameters<CappedRetry['refreshRetryTokenForRetry']>[1];
  const failure = (name: string) => Object.assign(new Error(), { name }) as NonNullable<RetryErrorInfo['error']>;
  const ended = { errorType: 'TRANSIENT', error: failure('TimeoutError') } as const;
  const limits = { maxAttempts: 8, baseDelayMs: 100, maxDelayMs: 1000 };

  async function waits(random: () => number, info: Parameters<CappedRetry['refreshRetryTokenForRetry']>[1] = ended) {
    const retry = new CappedRetry(limits, random);
    let token = await retry.acquireInitialRetryToken();
    const delays: number[] = [];
    for (;;) {
      try {
        token = await retry.refreshRetryTokenForRetry(token, info);
      } catch {
        return delays;
      }
      delays.push(token.getRetryDelay());
    }
  }

  test('double up to a cap, below which they are drawn', async () => {
    expect(await waits(() => 1)).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
    expect(await waits(() => 0)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(new Set(await waits(Math.random)).size).toBeGreaterThan(1);
  });

  test('are as long as the server asks, but for the cap', async () => {
    const inAMinute = { ...ended, retryAfterHint: new Date(Date.now() + 60_000) };
    expect(await waits(() => 0, inAMinute)).toEqual(Array.from({ length: 7 }, () => 1000));
  });

  test('there are none for what another attempt does not mend', async () => {
    const error = failure('AccessDenied');
    expect(await waits(() => 1, { errorType: 'CLIENT_ERROR', error })).toEqual([]);
    const abort = failure('AbortError');
    expect(await waits(() => 1, { errorType: 'TRANSIENT', error: abort })).toEqual([]);
    const damaged = failure('BadDigest');
    expect(await waits(() => 1, { errorType: 'CLIENT_ERROR', error: damaged })).toHaveLength(7);
  });
});
