import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { beforeEach, describe, expect, test } from 'vitest';
import { SfuError, type SfuErrorCode } from '../../sfu/errors.ts';
import {
  BODY_LIMIT,
  bearer,
  errorOf,
  FRAGMENT,
  type Headers,
  KEY,
  OFFER,
  SDP,
  TOKEN,
  WhipApp,
} from './live/whip-app.ts';

let whip: WhipApp;
beforeEach(() => {
  whip = new WhipApp();
});

describe('POST', () => {
  test.each([
    ['/whip/street', KEY],
    ['/whep/street', TOKEN],
  ])('to %s answers an offer: 201, an address of its own, an ETag', async (path, credential) => {
    const response = await whip.post(path, bearer(credential));
    expect(response.status).toBe(201);
    expect(response.headers.get('content-type')).toBe(SDP);
    expect(response.headers.get('location')).toMatch(new RegExp(`^${path}/[\\w-]{22}$`));
    expect(response.headers.get('etag')).toMatch(/^"[\w-]+"$/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toBe('v=0\r\nan answer\r\n');
    expect(whip.street.offers).toEqual([`${path.slice(1, 5)} ${OFFER}`]);
  });

  test('folds the stream’s id to lower case', async () => {
    const response = await whip.post('/whip/STREET', bearer(KEY));
    expect(response.headers.get('location')).toMatch(/^\/whip\/street\//);
    expect(whip.verified).toEqual([['street', KEY]]);
  });

  test('of a type with parameters is taken, of another one is not', async () => {
    const type = (value: string) => whip.post('/whip/street', { ...bearer(KEY), 'content-type': value });
    expect((await type('Application/SDP; charset=utf-8')).status).toBe(201);
    for (const wrong of ['application/json', 'application/sdpx', 'text/plain', '']) {
      expect(await errorOf(await type(wrong))).toMatchObject({ status: 415, code: 'unsupported-media-type' });
    }
  });

  test('with a body above 64 KiB is 413, told by its length or found by counting', async () => {
    const large = 'x'.repeat(BODY_LIMIT + 1);
    const declared = { ...bearer(KEY), 'content-length': String(large.length) };
    expect(await errorOf(await whip.post('/whip/street', declared, large))).toMatchObject({ status: 413 });
    const chunks = new Response(large).body!;
    expect(await errorOf(await whip.post('/whip/street', bearer(KEY), chunks))).toMatchObject({ status: 413 });
    expect(whip.street.offers).toEqual([]);
    expect((await whip.post('/whip/street', bearer(KEY), 'x'.repeat(BODY_LIMIT))).status).toBe(201);
  });

  test.each<[SfuErrorCode, number, string, string | null]>([
    ['bad-offer', 400, 'bad-offer', null],
    ['no-compatible-codec', 406, 'no-common-codec', null],
    ['not-live', 409, 'stream-not-live', '1'],
    ['too-many', 429, 'too-many', '1'],
    ['worker-died', 503, 'not-ready', '1'],
    ['closed', 503, 'closed', '1'],
  ])('that the SFU refuses as %s is %i', async (code, status, told, retryAfter) => {
    whip.street.refusal = new SfuError(code, 'why it was');
    const response = await whip.post('/whep/street', bearer(TOKEN));
    expect(response.headers.get('retry-after')).toBe(retryAfter);
    expect(await errorOf(response)).toEqual({ status, code: told, message: 'why it was' });
  });

  test('that fails otherwise is 500 and says nothing of why', async () => {
    whip.street.refusal = new Error('secret cause');
    expect(await errorOf(await whip.post('/whip/street', bearer(KEY)))).toEqual({
      status: 500,
      code: 'internal',
      message: 'the server failed',
    });
  });

  test('of somebody whose connection goes meanwhile leaves no session', async () => {
    let gone = () => {};
    whip.street.during = () => new Promise<void>((resolve) => (gone = resolve));
    const http = createAdaptorServer({ fetch: whip.app.fetch });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', () => resolve()));
    try {
      const { port } = http.address() as AddressInfo;
      const headers = { 'content-type': SDP, ...bearer(KEY) };
      const client = request({ port, host: '127.0.0.1', path: '/whip/street', method: 'POST', headers });
      client.on('error', () => {});
      client.end(OFFER);
      await expect.poll(() => whip.street.offers.length).toBe(1);
      const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
      client.destroy();
      await closed;
      await expect.poll(() => connectionsOf(http)).toBe(0);
      gone();
      await expect.poll(() => whip.street.sessions.map((session) => session.closed)).toEqual([true]);
    } finally {
      http.close();
    }
  });

  test('more often than there may be sessions is 429, until one has closed', async () => {
    whip = new WhipApp({ maxSessions: 2 });
    const { path } = await whip.published();
    await whip.published();
    const response = await whip.post('/whip/street', bearer(KEY));
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await errorOf(response)).toMatchObject({ status: 429, code: 'too-many' });
    // Watching has a count of its own.
    expect((await whip.post('/whep/street', bearer(TOKEN))).status).toBe(201);
    await whip.send('DELETE', path, bearer(KEY));
    await whip.published();
  });

  test('counts sessions that are still being made', async () => {
    whip = new WhipApp({ maxSessions: 1 });
    let release = () => {};
    whip.street.during = () => new Promise<void>((resolve) => (release = resolve));
    const first = whip.post('/whip/street', bearer(KEY));
    await expect.poll(() => whip.street.offers.length).toBe(1);
    expect((await whip.post('/whip/street', bearer(KEY))).status).toBe(429);
    release();
    expect((await first).status).toBe(201);
  });
});

describe('the credential', () => {
  test.each([
    ['none', {}],
    ['a wrong one', bearer('wrong')],
    ['one of another scheme', { authorization: `Basic ${btoa(`x:${KEY}`)}` }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['two in one', { authorization: `Bearer ${KEY} ${KEY}` }],
  ])('%s is 401, the same whether the stream is there, before type and body are looked at', async (_name, headers) => {
    for (const path of ['/whip/street', '/whip/nowhere', '/whep/street', '/whep/nowhere', '/whip/not%20an%20id']) {
      const response = await whip.send(
        'POST',
        path,
        { ...headers, 'content-type': 'text/html' },
        'x'.repeat(BODY_LIMIT + 1),
      );
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await errorOf(response)).toEqual({
        status: 401,
        code: 'unauthorized',
        message: 'this needs the right credential, as Authorization: Bearer',
      });
    }
    expect(whip.street.offers).toEqual([]);
  });

  test('is not needed to watch where the server says so; then an unknown stream is told as such', async () => {
    whip = new WhipApp({ viewersNeedToken: false });
    expect((await whip.post('/whep/street')).status).toBe(201);
    expect(await errorOf(await whip.post('/whep/nowhere'))).toMatchObject({ status: 404, code: 'stream-not-found' });
    expect((await whip.post('/whip/street')).status).toBe(401);
  });

  test('of a viewer does not publish, that of a publisher does not watch', async () => {
    expect((await whip.post('/whip/street', bearer(TOKEN))).status).toBe(401);
    expect((await whip.post('/whep/street', bearer(KEY))).status).toBe(401);
  });

  test('is asked for by the session again: its address alone does nothing', async () => {
    const { path, etag, session } = await whip.published();
    const patch = { 'content-type': FRAGMENT, 'if-match': etag };
    for (const headers of [{}, bearer('wrong')] as Headers[]) {
      expect((await whip.send('DELETE', path, headers)).status).toBe(401);
      expect((await whip.send('PATCH', path, { ...patch, ...headers }, 'x')).status).toBe(401);
      // So is what is not there.
      expect((await whip.send('DELETE', '/whip/street/nothing', headers)).status).toBe(401);
    }
    expect(session.closed).toBe(false);
  });

  test('that was replaced meanwhile still ends what it began, and nothing else', async () => {
    let replaced = false;
    whip = new WhipApp({ keyReplaced: () => replaced });
    const { path } = await whip.published();
    replaced = true;
    expect((await whip.post('/whip/street', bearer(KEY))).status).toBe(401);
    expect((await whip.send('DELETE', '/whip/street/nothing', bearer(KEY))).status).toBe(401);
    expect((await whip.send('DELETE', path, bearer(KEY))).status).toBe(200);
  });

  test('of a viewer who needed none is the address', async () => {
    whip = new WhipApp({ viewersNeedToken: false });
    const path = (await whip.post('/whep/street')).headers.get('location')!;
    expect((await whip.send('DELETE', path)).status).toBe(200);
  });

  test('never reaches the log, nor does an offer, an answer or an address', async () => {
    const { path } = await whip.published();
    await whip.send('DELETE', path, bearer(KEY));
    expect(whip.logged).toHaveLength(2);
    for (const secret of [KEY, 'an offer', 'an answer', path.split('/').at(-1)!]) {
      expect(whip.logged.join()).not.toContain(secret);
    }
  });
});

function connectionsOf(http: ReturnType<typeof createAdaptorServer>): Promise<number> {
  return new Promise((resolve, reject) =>
    http.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}
