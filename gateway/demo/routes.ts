import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import { GatewayError } from '../errors.ts';
import type { Clips } from './clips.ts';

/** The start page's own small resource, below `/demo/clips`. No part of the public contract. */
export function clipRoutes(clips: Clips): Hono {
  const routes = new Hono();

  routes.use(async (c, next) => {
    await next();
    c.header('Cache-Control', 'private, no-store');
  });

  routes.post('/', async (c) => {
    if (c.req.header('content-type')?.startsWith('multipart/')) {
      throw new GatewayError('unsupported-media-type', 'send the file itself as the body, not a form');
    }
    const body = c.req.raw.body;
    if (!body) throw new GatewayError('upload-empty', 'the upload holds no data; send the file as the body');
    const declared = c.req.header('content-length');
    const { id, state } = await clips.receive(body, declared === undefined ? null : Number(declared));
    // Whoever gave up while the last bytes were stored never learns the id, so nobody else could erase the clip.
    if (c.req.raw.signal.aborted) await clips.erase(id);
    return c.json({ id, state }, 201, { Location: `/demo/clips/${id}` });
  });

  routes.get('/:id', (c) => c.json(clips.get(c.req.param('id'))));

  routes.delete('/:id', async (c) => {
    await clips.erase(c.req.param('id'));
    return c.body(null, 204);
  });

  routes.get('/:id/output', async (c, next) => {
    const path = clips.outputOf(c.req.param('id'));
    c.header('Accept-Ranges', 'bytes');
    // Without a filename, so that the page may name the download after the clip that only the browser knows.
    c.header('Content-Disposition', 'inline');
    return serveStatic({ root: '', path })(c, next);
  });

  return routes;
}
