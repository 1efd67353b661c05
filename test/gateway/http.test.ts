import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTestApp, errorOf, type TestApp } from './test-app.ts';

let app: TestApp;
beforeEach(async () => {
  app = await createTestApp();
});
afterEach(() => app.close());

const post = (headers: Record<string, string>) => app.request('/demo/clips', { method: 'POST', body: 'x', headers });

describe('Host', () => {
  test.each(['localhost', 'LOCALHOST:8080', '127.0.0.1:8080', '127.1.2.3', '[::1]:8080'])(
    '%s is answered',
    async (host) => {
      expect((await app.request('/healthz', { headers: { host } })).status).toBe(200);
    },
  );

  test.each([
    'evil.example',
    'evil.example:8080',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '192.168.1.2:8080',
    '0.0.0.0',
    'a@localhost',
    '[::2]',
    '',
  ])('%s is refused on every route', async (host) => {
    for (const path of ['/', '/healthz', '/demo/clips/x', '/nothing']) {
      const response = await app.request(path, { headers: { host } });
      expect(response.status).toBe(403);
      expect((await errorOf(response)).code).toBe('foreign-host');
    }
  });
});

describe('Origin', () => {
  const host = '127.0.0.1:8080';

  test('of the page itself may post', async () => {
    const headers = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
    expect((await post(headers)).status).toBe(201);
  });

  test('absent, as from a program, may post', async () => {
    expect((await post({ host })).status).toBe(201);
  });

  test.each([
    'http://evil.example',
    'null',
    'https://127.0.0.1:8080',
    'http://127.0.0.1:3000',
    'http://localhost:8080',
  ])('%s is refused, and nothing is stored', async (origin) => {
    const response = await post({ host, origin });
    expect(response.status).toBe(403);
    expect((await errorOf(response)).code).toBe('foreign-origin');
    expect(await app.folders()).toEqual([]);
  });

  test('absent in a browser’s cross-site post is refused by Sec-Fetch-Site', async () => {
    expect((await post({ host, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await post({ host, 'sec-fetch-site': 'same-site' })).status).toBe(403);
  });

  test('a link from another site may open the page', async () => {
    expect((await app.request('/', { headers: { host, 'sec-fetch-site': 'cross-site' } })).status).toBe(200);
  });
});

describe('start page', () => {
  test.each([
    ['/', 'text/html'],
    ['/style.css', 'text/css'],
    ['/page.js', 'text/javascript'],
    ['/icon.svg', 'image/svg+xml'],
  ])('%s is served', async (path, type) => {
    const response = await app.request(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain(type);
  });

  test.each([
    '/../package.json',
    '/%2e%2e/package.json',
    '/..%2fpackage.json',
    '/%252e%252e/package.json',
    '/a/../../package.json',
    '/..\\package.json',
    '//etc/passwd',
  ])('%s leads nowhere', async (path) => {
    const response = await app.request(`http://localhost${path}`);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain('faceblur-gateway');
  });

  test('carries a strict policy and no cookie', async () => {
    const { headers } = await app.request('/');
    const policy = headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("media-src 'self' blob:");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('set-cookie')).toBeNull();
  });

  test('has no inline script or style, and fetches nothing from elsewhere', async () => {
    const html = await (await app.request('/')).text();
    expect(html).not.toMatch(/<style|style="|<script(?![^>]*\bsrc=)|\son\w+="|https?:\/\/(?!www\.w3\.org)/);
  });
});

describe('errors', () => {
  const shape = { code: expect.any(String), message: expect.any(String), requestId: expect.any(String) };

  test('404 has the contract’s shape', async () => {
    const response = await app.request('/v1/nothing');
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ error: { ...shape, code: 'not-found' } });
  });

  test('405 names what is possible', async () => {
    for (const [method, path, allow] of [
      ['GET', '/demo/clips', 'POST'],
      ['PUT', '/demo/clips/x', 'GET, HEAD, DELETE'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['POST', '/', 'GET, HEAD'],
    ] as const) {
      const response = await app.request(path, { method });
      expect([path, response.status]).toEqual([path, 405]);
      expect(response.headers.get('allow')).toBe(allow);
      expect(await response.json()).toEqual({ error: { ...shape, code: 'method-not-allowed' } });
    }
  });

  test('an unknown clip is answered 404 by every method', async () => {
    for (const [method, path] of [
      ['GET', '/demo/clips/x'],
      ['GET', '/demo/clips/x/output'],
      ['DELETE', '/demo/clips/x'],
    ] as const) {
      const response = await app.request(path, { method });
      expect(response.status).toBe(404);
      expect((await errorOf(response)).code).toBe('clip-not-found');
    }
  });

  test('500 tells neither stack nor path, and the log has the reason', async () => {
    app.clips.get = () => {
      throw new Error('cannot open /srv/secret');
    };
    const response = await app.request('/demo/clips/x');
    expect(response.status).toBe(500);
    const error = await errorOf(response);
    expect(error).toEqual({ ...shape, code: 'internal', message: 'the server failed' });
    expect(app.logged.join()).toContain(error.requestId);
    expect(app.logged.join()).toContain('/srv/secret');
  });
});

describe('operations', () => {
  test('/healthz and /readyz answer', async () => {
    expect(await (await app.request('/healthz')).json()).toEqual({ status: 'ok' });
    expect(await (await app.request('/readyz')).json()).toEqual({ status: 'ready' });
  });

  test('/readyz is 503 while the detector is not at hand', async () => {
    await app.close();
    app = await createTestApp({}, async () => {
      throw new Error('no model in /srv/secret');
    });
    const response = await app.request('/readyz');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('10');
    expect(await response.text()).not.toContain('/srv/secret');
  });
});
