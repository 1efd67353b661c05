import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyPrefix, objectKey } from '../../../recorder/store/keys.ts';
import { MIN_PART_BYTES, type ObjectStore } from '../../../recorder/store/object-store.ts';
import { hasS3Server, S3Server } from '../../setup/s3-server.ts';
import { bytesOf, openLocal, openS3, send, type TestStore } from './stores.ts';

const MIB = 1024 ** 2;
const TEXT = 'text/plain';
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
const missing = { code: 'object-not-found' };

/** `count` chunks of 1 MiB, one after the other. */
async function* chunksOf(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB);
}

let server: S3Server | null = null;
beforeAll(async () => {
  server = hasS3Server ? await S3Server.start() : null;
});
afterAll(() => server?.stop());

describe.each([
  { name: 'a local folder', open: openLocal, isThere: true },
  { name: 'a real S3 server', open: () => openS3(server!), isThere: hasS3Server },
])('objects in $name', ({ open, isThere }) => {
  let keeper: TestStore;
  let store: ObjectStore;
  let owners = 0;
  /** A folder that no other test has. */
  let owner: string;

  beforeAll(async () => {
    if (!isThere) return;
    keeper = await open();
    store = keeper.store;
  });
  afterAll(() => keeper?.close());

  const check = (name: string, body: () => Promise<void>) =>
    test.skipIf(!isThere)(name, async () => {
      owner = `owner-${owners++}`;
      await body();
    });
  const key = (name: string) => objectKey('original', owner, name);
  const put = (name: string, text: string | Uint8Array) =>
    store.put(key(name), Buffer.from(text), { contentType: TEXT });

  check('what was put is got, with what was said of it', async () => {
    const stored = await put('a', 'some text');
    expect(stored).toMatchObject({ key: key('a'), size: 9, sha256: sha256('some text') });
    const { head, start, end, stream } = await store.get(key('a'));
    expect(await bytesOf(stream)).toEqual(Buffer.from('some text'));
    expect([start, end]).toEqual([0, 8]);
    expect(head).toMatchObject({ key: key('a'), size: 9, contentType: TEXT, etag: stored.etag });
    expect(await store.head(key('a'))).toEqual(head);
    expect(Math.abs(head.modifiedAt.getTime() - Date.now())).toBeLessThan(60_000);
  });

  check('an empty object is one as well', async () => {
    await put('empty', '');
    const { start, end, stream, head } = await store.get(key('empty'));
    expect([await bytesOf(stream), start, end, head.size]).toEqual([Buffer.alloc(0), 0, -1, 0]);
    await expect(store.get(key('empty'), { range: { start: 0 } })).rejects.toMatchObject({ code: 'bad-range' });
  });

  check('a stream of many parts arrives whole, and its hash is told', async () => {
    const bytes = randomBytes(21 * MIB + 5);
    const stored = await store.put(key('large'), chunksOf(bytes), { contentType: 'video/mp4' });
    expect(stored).toMatchObject({ size: bytes.length, sha256: sha256(bytes) });
    const { stream } = await store.get(key('large'), { sha256: stored.sha256 });
    expect((await bytesOf(stream)).equals(bytes)).toBe(true);
    const whole = await store.put(key('whole'), bytes, { contentType: 'video/mp4', sha256: stored.sha256 });
    expect((await store.head(key('whole')))?.sha256).toBe(stored.sha256);
    expect(whole.sha256).toBe(stored.sha256);
  });

  check('an object is replaced whole', async () => {
    const first = await put('a', 'the first');
    const second = await put('a', 'and the second');
    expect(second.etag).not.toBe(first.etag);
    expect((await bytesOf((await store.get(key('a'))).stream)).toString()).toBe('and the second');
    expect(await keeper.leftovers()).toEqual([]);
  });

  check('ranges are the bytes that they name', async () => {
    await put('a', '0123456789');
    const read = async (range: { start: number; end?: number }) => {
      const { start, end, stream, head } = await store.get(key('a'), { range });
      return [(await bytesOf(stream)).toString(), start, end, head.size];
    };
    expect(await read({ start: 2, end: 4 })).toEqual(['234', 2, 4, 10]);
    expect(await read({ start: 7 })).toEqual(['789', 7, 9, 10]);
    expect(await read({ start: 8, end: 99 })).toEqual(['89', 8, 9, 10]);
    for (const range of [{ start: 10 }, { start: 4, end: 2 }, { start: -1 }]) {
      await expect(store.get(key('a'), { range })).rejects.toMatchObject({ code: 'bad-range' });
    }
  });

  check('what is not there is told apart from what fails', async () => {
    await expect(store.get(key('none'))).rejects.toMatchObject(missing);
    expect(await store.head(key('none'))).toBeNull();
    await store.delete(key('none'));
    expect(await store.deletePrefix(keyPrefix('original', owner))).toBe(0);
    expect(await store.list(keyPrefix('original', owner))).toEqual({ items: [], next: null });
  });

  check('what is deleted is gone', async () => {
    await put('a', 'text');
    await store.delete(key('a'));
    expect(await store.head(key('a'))).toBeNull();
    await expect(store.get(key('a'))).rejects.toMatchObject(missing);
  });

  check('a prefix takes all below it along, and no neighbour', async () => {
    const keys = ['v/a', 'v/b/c', 'v/b/d', 'v-2/a'].map((name) => objectKey('recordings', owner, ...name.split('/')));
    for (const name of keys) await store.put(name, Buffer.from(name), { contentType: TEXT });
    expect(await store.deletePrefix(keyPrefix('recordings', owner, 'v'))).toBe(3);
    const { items } = await store.list(keyPrefix('recordings', owner));
    expect(items.map((item) => item.key)).toEqual([keys[3]]);
  });

  check('a list has all, in the order of their keys, page by page', async () => {
    const names = ['a', 'a-b', 'a.b', 'a/b', 'a/c', 'aa', 'b', '_', 'Z'];
    const keys = names.map((name) => objectKey('temp', owner, 'x', ...name.split('/')));
    for (const name of keys) await store.put(name, Buffer.from('text'), { contentType: TEXT });
    const prefix = keyPrefix('temp', owner);
    const { items, next } = await store.list(prefix);
    expect([items.map((item) => item.key), next]).toEqual([keys.toSorted(), null]);
    expect(items[0]).toMatchObject({ size: 4, etag: (await store.head(items[0]!.key))?.etag });
    const paged: string[] = [];
    for (let after: string | undefined, more = true; more; ) {
      const page = await store.list(prefix, { limit: 2, after });
      expect(page.items.length).toBeLessThanOrEqual(2);
      paged.push(...page.items.map((item) => item.key));
      more = page.next !== null;
      after = page.next ?? undefined;
    }
    expect(paged).toEqual(keys.toSorted());
    await expect(store.list(prefix, { limit: 1001 })).rejects.toThrow(RangeError);
  });

  check('bytes that are others, too many or too few leave what was there before', async () => {
    await put('a', 'before');
    const large = randomBytes(17 * MIB);
    const refused = [
      [() => Buffer.from('text'), { sha256: sha256('other') }, 'checksum-mismatch'],
      [() => chunksOf(large), { sha256: sha256('other') }, 'checksum-mismatch'],
      [() => chunksOf(large), { maxBytes: 16 * MIB }, 'too-large'],
      [() => chunksOf(large), { size: 18 * MIB }, 'incomplete'],
      [() => Buffer.from('text'), { size: 3 }, 'too-large'],
    ] as const;
    for (const [body, expected, code] of refused) {
      await expect(store.put(key('a'), body(), { contentType: TEXT, ...expected })).rejects.toMatchObject({ code });
      await expect(store.put(key('b'), body(), { contentType: TEXT, ...expected })).rejects.toMatchObject({ code });
    }
    expect((await bytesOf((await store.get(key('a'))).stream)).toString()).toBe('before');
    expect(await store.head(key('b'))).toBeNull();
    expect(await keeper.leftovers()).toEqual([]);
  });

  check('a body that fails, or whose put is aborted while it waits, leaves nothing', async () => {
    const broken = async function* () {
      yield randomBytes(9 * MIB);
      throw new Error('the camera is gone');
    };
    await expect(store.put(key('a'), broken(), { contentType: TEXT })).rejects.toThrow('the camera is gone');
    const abort = new AbortController();
    const silent = async function* () {
      yield randomBytes(9 * MIB);
      setTimeout(() => abort.abort(new Error('enough')), 50);
      await new Promise(() => {});
    };
    const { signal } = abort;
    await expect(store.put(key('a'), silent(), { contentType: TEXT, signal })).rejects.toThrow('enough');
    expect(await store.head(key('a'))).toBeNull();
    expect(await keeper.leftovers()).toEqual([]);
  });

  check('a read fails at its end where the content is not what the reader knows', async () => {
    await put('a', 'some text');
    const { stream } = await store.get(key('a'), { sha256: sha256('other text') });
    await expect(bytesOf(stream)).rejects.toMatchObject({ code: 'checksum-mismatch' });
  });

  check('an address to read does without any credential, in ranges as well', async () => {
    await put('a', '0123456789');
    const signed = await store.signGet(key('a'), { expiresInSeconds: 60, filename: 'Straße "1".mp4' });
    const response = await send(signed);
    expect([response.status, await response.text()]).toEqual([200, '0123456789']);
    expect(response.headers.get('content-type')).toBe(TEXT);
    expect(response.headers.get('content-disposition')).toMatch(
      /^attachment; filename="Stra_e _1_\.mp4"; filename\*=UTF-8''Stra%C3%9Fe%20%221%22\.mp4$/,
    );
    const part = await send(signed, undefined, { headers: { Range: 'bytes=2-4' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    expect(signed.expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(60_000);
  });

  check('an address that was changed, is for something else or has expired is refused', async () => {
    await put('a', 'mine');
    await put('b', 'not yours');
    const signed = await store.signGet(key('a'), { expiresInSeconds: 60 });
    const forged = [
      signed.url.replace('/a?', '/b?'),
      signed.url.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      signed.url.replace(/((?:E|e)xpires=)(\d)/, '$19$2'),
      signed.url.replace('/a?', '/%61%2F..%2Fb?'),
      signed.url.split('?')[0]!,
    ];
    for (const url of forged) {
      const response = await fetch(url);
      expect(response.ok).toBe(false);
      expect(await response.text()).not.toContain('not yours');
    }
    const stolen = await fetch(signed.url, { method: 'PUT', body: 'changed' });
    expect(stolen.status).toBe(403);
    expect((await fetch(signed.url, { method: 'DELETE' })).ok).toBe(false);
    expect(await (await send(signed)).text()).toBe('mine');
    const brief = await store.signGet(key('a'), { expiresInSeconds: 1 });
    await sleep(2100);
    expect((await send(brief)).status).toBe(403);
    expect((await fetch(signed.url.split('?')[0]!.replace(/[^/]+$/, ''))).ok).toBe(false);
  });

  check('an address to write takes the size, type and content that it is for', async () => {
    const text = 'some text';
    const about = { expiresInSeconds: 60, size: text.length, contentType: 'video/mp4' };
    const signed = await store.signPut(key('a'), { ...about, sha256: sha256(text) });
    expect((await send(signed, 'other txt')).status).toBe(400);
    expect((await send(signed, `${text}, and more`)).status).toBeGreaterThanOrEqual(400);
    expect((await send(signed, text, { headers: { 'Content-Type': 'text/html' } })).status).toBe(403);
    expect(await store.head(key('a'))).toBeNull();
    const taken = await send(signed, text);
    expect(taken.status).toBe(200);
    const head = await store.head(key('a'));
    expect(head).toMatchObject({ size: 9, contentType: 'video/mp4', sha256: sha256(text) });
    expect(taken.headers.get('etag')).toBe(head?.etag);
    expect((await fetch(signed.url)).status).toBe(403);
    await expect(store.signPut(key('a'), { ...about, size: 6 * 1024 ** 3 })).rejects.toMatchObject({
      code: 'too-large',
    });
    expect(await keeper.leftovers()).toEqual([]);
  });

  check('parts that others send become one object', async () => {
    const parts = [randomBytes(MIN_PART_BYTES), randomBytes(MIN_PART_BYTES + 1), Buffer.from('the end')];
    const id = await store.createMultipart(key('a'), { contentType: 'video/mp4' });
    const uploaded = [];
    for (const [i, part] of parts.entries()) {
      const signed = await store.signPart(key('a'), id, i + 1, { expiresInSeconds: 60, size: part.length });
      // Sent twice, as after a lost answer.
      await send(signed, part);
      const response = await send(signed, part);
      expect(response.status).toBe(200);
      uploaded.push({ number: i + 1, etag: response.headers.get('etag')! });
    }
    expect(await store.head(key('a'))).toBeNull();
    const head = await store.completeMultipart(key('a'), id, uploaded);
    expect(head).toMatchObject({ size: Buffer.concat(parts).length, contentType: 'video/mp4' });
    expect((await bytesOf((await store.get(key('a'))).stream)).equals(Buffer.concat(parts))).toBe(true);
    expect(await keeper.leftovers()).toEqual([]);
    const again = await store.completeMultipart(key('a'), id, uploaded).catch((error) => error.code);
    expect([head, 'upload-not-found']).toContainEqual(again);
    expect(await store.head(key('a'))).toEqual(head);
  });

  check('parts that are missing, others, too small or out of order make no object', async () => {
    const id = await store.createMultipart(key('a'), { contentType: TEXT });
    const sendPart = async (number: number, body: Uint8Array) => {
      const signed = await store.signPart(key('a'), id, number, { expiresInSeconds: 60, size: body.length });
      return { number, etag: (await send(signed, body)).headers.get('etag')! };
    };
    const first = await sendPart(1, randomBytes(MIN_PART_BYTES));
    const second = await sendPart(2, Buffer.from('small'));
    const third = await sendPart(3, Buffer.from('smaller'));
    const refused = [
      [],
      [first, { ...second, number: 7 }],
      [first, { ...second, etag: first.etag }],
      [second, first],
      [first, first],
      [first, second, third],
      [{ ...first, etag: '../../x' }],
      [{ ...first, number: 0 }],
    ];
    for (const parts of refused) {
      await expect(store.completeMultipart(key('a'), id, parts)).rejects.toMatchObject({ code: 'bad-part' });
    }
    expect(await store.head(key('a'))).toBeNull();
    expect(await store.completeMultipart(key('a'), id, [first, second])).toMatchObject({ size: MIN_PART_BYTES + 5 });
  });

  check('an upload that is aborted leaves nothing, and takes nothing more', async () => {
    const id = await store.createMultipart(key('a'), { contentType: TEXT });
    const signed = await store.signPart(key('a'), id, 1, { expiresInSeconds: 60, size: 4 });
    expect((await send(signed, 'text')).status).toBe(200);
    expect(await keeper.leftovers()).not.toEqual([]);
    await store.abortMultipart(key('a'), id);
    await store.abortMultipart(key('a'), id);
    expect(await keeper.leftovers()).toEqual([]);
    expect((await send(signed, 'text')).status).toBe(404);
    expect((await send({ ...signed, url: signed.url.replace(/part(Number)?=1/, 'part$1=2') }, 'text')).ok).toBe(false);
    await expect(store.completeMultipart(key('a'), id, [{ number: 1, etag: 'a' }])).rejects.toMatchObject({
      code: 'upload-not-found',
    });
  });

  check('an upload is of one key', async () => {
    const id = await store.createMultipart(key('a'), { contentType: TEXT });
    const signed = await store.signPart(key('b'), id, 1, { expiresInSeconds: 60, size: 4 });
    expect((await send(signed, 'text')).status).toBe(404);
    await store.abortMultipart(key('b'), id);
    const own = await store.signPart(key('a'), id, 1, { expiresInSeconds: 60, size: 4 });
    expect((await send(own, 'text')).status).toBe(200);
    await store.abortMultipart(key('a'), id);
  });

  check('uploads that nobody finished are swept once they are old, and objects are not', async () => {
    await put('kept', 'text');
    const id = await store.createMultipart(key('a'), { contentType: TEXT });
    const signed = await store.signPart(key('a'), id, 1, { expiresInSeconds: 60, size: 4 });
    await send(signed, 'text');
    expect(await store.sweep(new Date(Date.now() - 60_000))).toBe(0);
    expect((await send(signed, 'text')).status).toBe(200);
    expect(await store.sweep(new Date(Date.now() + 60_000))).toBe(1);
    expect(await keeper.leftovers()).toEqual([]);
    expect(await store.head(key('kept'))).not.toBeNull();
  });

  check('a key that is none of ours reaches nothing', async () => {
    const keys = ['original/../secret', '/etc/passwd', 'original/a', 'other/a/b', 'original/a/b@meta', 'original/a//b'];
    for (const bad of [...keys, '', 'original/a/.b', 'original/a/b/', `original/a/${'x'.repeat(101)}`, 'temp/a/ä']) {
      const refusal = { code: 'bad-key' };
      const body = Buffer.from('text');
      await expect(store.put(bad, body, { contentType: TEXT })).rejects.toMatchObject(refusal);
      await expect(store.get(bad)).rejects.toMatchObject(refusal);
      await expect(store.head(bad)).rejects.toMatchObject(refusal);
      await expect(store.delete(bad)).rejects.toMatchObject(refusal);
      await expect(async () => store.signGet(bad, { expiresInSeconds: 1 })).rejects.toMatchObject(refusal);
      await expect(store.createMultipart(bad, { contentType: TEXT })).rejects.toMatchObject(refusal);
    }
    for (const prefix of ['', '/', 'original/', 'original/a', 'original/../']) {
      await expect(store.deletePrefix(prefix)).rejects.toMatchObject({ code: 'bad-key' });
      await expect(store.list(prefix)).rejects.toMatchObject({ code: 'bad-key' });
    }
  });

  check('a bucket that is gone is said to be, and nothing is taken for missing', async () => {
    const { homeless } = keeper;
    if (homeless === null) return;
    const gone = { code: 'bucket-missing', isBucketFault: true };
    await expect(homeless.check()).rejects.toMatchObject(gone);
    await expect(homeless.head(key('a'))).rejects.toMatchObject(gone);
    await expect(homeless.get(key('a'))).rejects.toMatchObject(gone);
    await expect(homeless.put(key('a'), Buffer.from('a'), { contentType: TEXT })).rejects.toMatchObject(gone);
    await expect(homeless.put(key('a'), chunksOf(randomBytes(9 * MIB)), { contentType: TEXT })).rejects.toMatchObject(
      gone,
    );
    await expect(homeless.list(keyPrefix('original', owner))).rejects.toMatchObject(gone);
  });

  check('it says that it works, and after its end that it is closed', async () => {
    await store.check();
    const other = await open();
    await other.store.put(key('a'), Buffer.from('text'), { contentType: TEXT });
    const { stream } = await other.store.get(key('a'));
    await other.store.close();
    await expect(other.store.head(key('a'))).rejects.toMatchObject({ code: 'closed' });
    await expect(other.store.put(key('a'), Buffer.from('a'), { contentType: TEXT })).rejects.toMatchObject({
      code: 'closed',
    });
    await expect(bytesOf(stream)).rejects.toThrow();
    await other.close();
  });
});
