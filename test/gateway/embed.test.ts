import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTestApp, errorOf, type TestApp } from './test-app.ts';

let app: TestApp;
beforeEach(async () => {
  app = await createTestApp();
});
afterEach(() => app.close());

describe('GET /embed/{stream}', () => {
  test.each(['lobby-1', 'LOBBY-1', 'a', 'x'.repeat(64)])(
    '%s gets the player page, which no site may frame',
    async (id) => {
      const response = await app.request(`/embed/${id}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toMatch(/^text\/html/);
      expect(response.headers.get('cache-control')).toBe('no-cache');
      expect(response.headers.get('content-security-policy')).toMatch(/frame-ancestors 'none'/);
      expect(await response.text()).toContain('id="watched"');
    },
  );

  test('names its scripts and styles from the root, where they are', async () => {
    const html = await (await app.request('/embed/lobby')).text();
    const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address!);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) {
      expect(part).toMatch(/^\/[^/]/);
      expect((await app.request(part)).status).toBe(200);
    }
  });

  test.each(['', 'a/b', 'a.b', '..%2findex', 'x'.repeat(65)])('%s names no stream and is answered 404', async (id) => {
    const response = await app.request(`/embed/${id}`);
    expect(response.status).toBe(404);
    expect((await errorOf(response)).code).toBe('not-found');
  });

  test('takes no POST', async () => {
    const response = await app.request('/embed/lobby', { method: 'POST' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toMatch(/GET/);
  });
});
