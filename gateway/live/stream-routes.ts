import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { GatewayError } from '../errors.ts';
import type { Access } from './access.ts';
import type { PlayTokens } from './play-tokens.ts';
import type { PublicUrlOptions } from './public-urls.ts';
import { faceChanges, newPlayToken, newStream, page, parse, streamChanges } from './schemas.ts';
import { toGatewayError } from './sfu-errors.ts';
import { faceView, streamView } from './stream-view.ts';
import type { Streams } from './streams.ts';

const MAX_BODY_BYTES = 65_536;

export interface StreamRoutesOptions {
  readonly streams: Streams;
  readonly access: Access;
  readonly urls: PublicUrlOptions;
  readonly playTokens: PlayTokens;
}

/** The contract's Streams, to be mounted at `/v1/streams`. Throws GatewayError alone. */
export function streamRoutes({ streams, playTokens, access, urls }: StreamRoutesOptions): Hono {
  const routes = new Hono();

  routes.onError((error) => {
    throw toGatewayError(error);
  });
  routes.use(async (c, next) => {
    await access.requireScope(c, 'operate');
    await next();
    c.header('Cache-Control', 'no-store');
  });
  routes.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new GatewayError('body-too-large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
      },
    }),
  );

  routes.post('/', async (c) => {
    const { entry, key } = await streams.create(parse(newStream, await jsonOf(c)));
    const { id, ...view } = streamView(c, entry, urls);
    return c.json({ id, key, ...view }, 201, { Location: `/v1/streams/${id}` });
  });

  routes.get('/', (c) => {
    const { limit, cursor } = parse(page, c.req.query());
    const { entries, next } = streams.list(limit, cursor);
    return c.json({ items: entries.map((entry) => streamView(c, entry, urls)), next });
  });

  routes.get('/:id', (c) => c.json(streamView(c, streams.get(idOf(c)), urls)));

  routes.patch('/:id', async (c) => {
    const { live } = streams.get(idOf(c));
    const entry = await streams.update(live.id, parse(streamChanges, await jsonOf(c)));
    return c.json(streamView(c, entry, urls));
  });

  routes.delete('/:id', async (c) => {
    await streams.remove(idOf(c));
    return c.body(null, 204);
  });

  routes.post('/:id/key', async (c) => {
    const id = idOf(c);
    return c.json({ id, key: await streams.rotateKey(id) });
  });

  routes.post('/:id/play-tokens', async (c) => {
    const { live } = streams.get(idOf(c));
    const { expiresIn } = parse(newPlayToken, await jsonOf(c));
    const expiresAt = new Date(Date.now() + expiresIn * 1000);
    return c.json({ token: await playTokens.make(live.id, expiresAt), expiresAt: expiresAt.toISOString() });
  });

  routes.get('/:id/faces', async (c) => {
    const faces = await streams.get(idOf(c)).live.faces();
    const items = faces.map((face) => ({
      ...faceView(face, streams.people),
      thumbnail: face.thumbnail,
      firstSeenAt: face.firstSeenAt.toISOString(),
    }));
    return c.json({ items });
  });

  routes.patch('/:id/faces/:track', async (c) => {
    const { live } = streams.get(idOf(c));
    const track = c.req.param('track');
    const { visible } = parse(faceChanges, await jsonOf(c));
    if (!/^\d{1,15}$/.test(track) || !(await live.setVisible(Number(track), visible))) {
      throw new GatewayError('face-not-found', 'no such face is on screen');
    }
    return c.json({ track: Number(track), visible });
  });

  return routes;
}

function idOf(c: Context): string {
  return c.req.param('id')!.toLowerCase();
}

/**
 * The JSON object that the body holds; an empty one counts as an object without fields.
 * @throws GatewayError 'unsupported-media-type' | 'bad-request'
 */
export async function jsonOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  if (text === '') return {};
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw new GatewayError('unsupported-media-type', 'the body must be application/json');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // V8's message quotes what it could not read, which may be a secret.
    throw new GatewayError('bad-request', 'the body is not JSON', { cause: error });
  }
}
