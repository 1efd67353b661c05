import { beforeEach, describe, expect, test } from 'vitest';
import { SfuError } from '../../sfu/errors.ts';
import { BODY_LIMIT, bearer, errorOf, FRAGMENT, type Headers, KEY, SDP, WhipApp } from './live/whip-app.ts';

let whip: WhipApp;
beforeEach(() => {
  whip = new WhipApp();
});

describe('PATCH', () => {
  const patch = (path: string, headers: Headers, body = 'a=candidate') =>
    whip.send('PATCH', path, { ...bearer(KEY), 'content-type': FRAGMENT, ...headers }, body);

  test('with the ETag trickles: 204, no body, no ETag', async () => {
    const { path, etag, session } = await whip.published();
    const response = await patch(path, { 'if-match': etag });
    expect(response.status).toBe(204);
    expect(response.headers.get('etag')).toBeNull();
    expect(await response.text()).toBe('');
    expect(session.trickled).toEqual(['a=candidate']);
    expect((await patch(path, { 'if-match': `"other", ${etag}` })).status).toBe(204);
  });

  test.each(['*', '"*"'])(
    'with %s restarts ICE: 200, our fragment, another ETag, and the old one is stale',
    async (any) => {
      const { path, etag } = await whip.published();
      const response = await patch(path, { 'if-match': any }, 'a=ice-ufrag:abcd');
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(FRAGMENT);
      expect(await response.text()).toBe('a=ice-ufrag:new-for-16\r\n');
      const next = response.headers.get('etag')!;
      expect(next).toMatch(/^"[\w-]+"$/);
      expect(next).not.toBe(etag);
      expect(await errorOf(await patch(path, { 'if-match': etag }))).toMatchObject({ status: 412 });
      expect((await patch(path, { 'if-match': next })).status).toBe(204);
    },
  );

  test('without If-Match is 428, with a stale, weak or malformed one 412', async () => {
    const { path, etag, session } = await whip.published();
    for (const headers of [{}, { 'if-match': '' }] as Headers[]) {
      expect(await errorOf(await patch(path, headers))).toMatchObject({ status: 428, code: 'precondition-required' });
    }
    for (const stale of ['"stale"', `W/${etag}`, etag.replaceAll('"', ''), ',,']) {
      const error = await errorOf(await patch(path, { 'if-match': stale }));
      expect(error).toMatchObject({ status: 412, code: 'precondition-failed' });
    }
    expect(session.trickled).toEqual([]);
  });

  test('of another type is 415, too large 413, of a fragment that cannot be read 400', async () => {
    const { path, etag, session } = await whip.published();
    const wrong = await patch(path, { 'if-match': etag, 'content-type': SDP });
    expect(await errorOf(wrong)).toMatchObject({ status: 415, code: 'unsupported-media-type' });
    const large = await patch(path, { 'if-match': etag }, 'x'.repeat(BODY_LIMIT + 1));
    expect(await errorOf(large)).toMatchObject({ status: 413, code: 'body-too-large' });
    session.refusal = new SfuError('bad-fragment', 'no a=ice-ufrag');
    for (const condition of [etag, '*']) {
      const response = await patch(path, { 'if-match': condition });
      expect(await errorOf(response)).toEqual({ status: 400, code: 'bad-fragment', message: 'no a=ice-ufrag' });
    }
    // RFC 9725 §4.3.3: a restart that failed leaves the session as it was.
    session.refusal = null;
    expect((await patch(path, { 'if-match': etag })).status).toBe(204);
  });

  test('of two ICE restarts at once the second is told to wait', async () => {
    const { path, session } = await whip.published();
    let release = () => {};
    session.hold = new Promise((resolve) => (release = resolve));
    const first = patch(path, { 'if-match': '*' });
    const second = await patch(path, { 'if-match': '*' });
    expect(second.headers.get('retry-after')).toBe('1');
    expect(second.status).toBe(429);
    release();
    expect((await first).status).toBe(200);
    expect((await patch(path, { 'if-match': '*' })).status).toBe(200);
  });
});

describe('a session', () => {
  test('is ended by DELETE, whatever If-Match says, and is not there any more', async () => {
    const { path, session } = await whip.published();
    expect((await whip.send('DELETE', path, { ...bearer(KEY), 'if-match': '"stale"' })).status).toBe(200);
    expect(session.closed).toBe(true);
    expect(await errorOf(await whip.send('DELETE', path, bearer(KEY)))).toMatchObject({
      status: 404,
      code: 'not-found',
    });
  });

  test('that closed by itself is not there any more', async () => {
    const { path, session } = await whip.published();
    await session.close();
    const headers = { ...bearer(KEY), 'content-type': FRAGMENT, 'if-match': '*' };
    expect((await whip.send('PATCH', path, headers, 'x')).status).toBe(404);
  });

  test('that closed before it could be told of is none', async () => {
    const negotiated = whip.street.publishWhip;
    Object.assign(whip.street, {
      publishWhip: async (offer: string) => {
        const session = await negotiated(offer);
        await session.close();
        return session;
      },
    });
    expect(await errorOf(await whip.post('/whip/street', bearer(KEY)))).toMatchObject({ status: 503, code: 'closed' });
  });

  test('is found only under its own stream and kind', async () => {
    whip = new WhipApp({ viewersNeedToken: false });
    const { path, session } = await whip.published();
    const id = path.split('/').at(-1);
    expect((await whip.send('DELETE', `/whep/street/${id}`, bearer(KEY))).status).toBe(404);
    expect((await whip.send('DELETE', `/whip/nowhere/${id}`, bearer(KEY))).status).toBe(401);
    expect(session.closed).toBe(false);
    expect((await whip.send('DELETE', path.replace('street', 'STREET'), bearer(KEY))).status).toBe(200);
  });

  test('has an id that nobody guesses: none is like another, or the SFU’s', async () => {
    const ids = new Set<string>();
    for (let time = 0; time < 20; time += 1) ids.add((await whip.published()).path.split('/').at(-1)!);
    expect(ids.size).toBe(20);
    expect(ids).not.toContain('internal-id');
  });
});

describe('other methods', () => {
  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH'])('%s on an endpoint is 405', async (method) => {
    const response = await whip.send(method, '/whip/street', bearer(KEY));
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'OPTIONS, POST']);
  });

  test.each(['GET', 'HEAD', 'PUT', 'POST'])('%s on a session is 405', async (method) => {
    const { path } = await whip.published();
    const response = await whip.send(method, path, bearer(KEY));
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'OPTIONS, PATCH, DELETE']);
  });
});
