import { beforeEach, describe, expect, test } from 'vitest';
import type { CorsOrigins } from '../../gateway/live/cors.ts';
import { bearer, errorOf, FRAGMENT, type Headers, KEY, OFFER, SDP, WhipApp } from './live/whip-app.ts';

let whip: WhipApp;
beforeEach(() => {
  whip = new WhipApp();
});

describe('OPTIONS and other origins', () => {
  const PAGE = 'https://player.example';
  const from = (origin: string): Headers => ({ origin, 'sec-fetch-site': 'cross-site' });
  const preflight = (path: string, method: string) =>
    whip.send('OPTIONS', path, {
      ...from(PAGE),
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,if-match',
    });

  test('OPTIONS needs no credential and says what can be posted', async () => {
    const endpoint = await whip.send('OPTIONS', '/whip/street');
    expect(endpoint.status).toBe(200);
    expect(endpoint.headers.get('accept-post')).toBe(SDP);
    expect(endpoint.headers.get('allow')).toBe('OPTIONS, POST');
    expect(endpoint.headers.get('access-control-allow-origin')).toBeNull();
    const session = await whip.send('OPTIONS', '/whep/street/x');
    expect(session.headers.get('accept-patch')).toBe(FRAGMENT);
  });

  test.each<[string, CorsOrigins]>([
    [PAGE, ['https://other.example', PAGE]],
    ['*', '*'],
  ])('of pages in CORS_ORIGINS (%s) publish, watch, and read what they need', async (allowed, corsOrigins) => {
    whip = new WhipApp({ corsOrigins });
    const asked = await preflight('/whip/street', 'POST');
    expect(asked.status).toBe(200);
    expect(asked.headers.get('access-control-allow-origin')).toBe(allowed);
    expect(asked.headers.get('access-control-allow-headers')).toBe('Authorization,Content-Type,If-Match');
    expect(asked.headers.get('accept-post')).toBe(SDP);
    expect((await preflight('/whip/street/x', 'PATCH')).headers.get('access-control-allow-methods')).toMatch(/PATCH/);

    const response = await whip.post('/whip/street', { ...bearer(KEY), ...from(PAGE) });
    expect(response.status).toBe(201);
    expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
    const exposed = response.headers.get('access-control-expose-headers')!.toLowerCase().split(',');
    expect(exposed).toEqual(expect.arrayContaining(['location', 'etag', 'link']));
    // Errors can be read too.
    const refused = await whip.post('/whip/street', from(PAGE));
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, allowed]);
  });

  test('of pages elsewhere are refused, also where some are named', async () => {
    for (const corsOrigins of [[], ['https://other.example']]) {
      whip = new WhipApp({ corsOrigins });
      const response = await whip.post('/whip/street', { ...bearer(KEY), ...from(PAGE) });
      expect(await errorOf(response)).toMatchObject({ status: 403, code: 'foreign-origin' });
      expect((await preflight('/whip/street', 'POST')).status).toBe(403);
    }
    expect(whip.street.offers).toEqual([]);
  });

  test('being named opens neither other paths nor other hosts', async () => {
    whip = new WhipApp({ corsOrigins: '*' });
    whip.app.post('/demo/clips', (c) => c.text('taken'));
    expect((await whip.send('POST', '/demo/clips', from(PAGE), 'x')).status).toBe(403);
    const rebound = await whip.send(
      'POST',
      '/whip/street',
      { ...bearer(KEY), ...from(PAGE), host: 'evil.example' },
      OFFER,
    );
    expect(await errorOf(rebound)).toMatchObject({ status: 403, code: 'foreign-host' });
  });
});
