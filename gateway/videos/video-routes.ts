import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ObjectStore } from '../../recorder/store/object-store.ts';
import { signedPlaylist } from '../../recorder/videos/hls.ts';
import type { Video } from '../../recorder/videos/video.ts';
import { OUTPUTS, type Output, outputKey } from '../../recorder/videos/video-keys.ts';
import { GatewayError } from '../errors.ts';
import type { Access } from '../live/access.ts';
import { baseUrl } from '../live/public-urls.ts';
import { page, parse } from '../live/schemas.ts';
import { jsonOf } from '../live/stream-routes.ts';
import { objectErrorOf } from '../objects/object-errors.ts';
import type { LinkSigner } from '../recordings/link-signer.ts';
import {
  completion,
  download,
  faceChange,
  facesChange,
  facesPage,
  idempotencyKey,
  newVideo,
  renderRequest,
} from './video-schemas.ts';
import { faceView, uploadView, videoView } from './video-views.ts';
import type { Videos } from './videos.ts';

export interface VideoRoutesOptions {
  readonly videos: Videos;
  readonly store: Pick<ObjectStore, 'get' | 'signGet'>;
  readonly links: LinkSigner;
  readonly access: Access;
  /** What our addresses begin with; null: the Host of each request. */
  readonly publicUrl: string | null;
  /** Videos are erased so long after they were made; null: never. */
  readonly retentionMs: number | null;
  /** Names of those who are enrolled. */
  readonly nameOf: (identity: string) => string | null;
}

/** Whoever reaches us has them all, until there are accounts. */
export const OWNER = 'local';
const MAX_BODY_BYTES = 1_048_576;
/** What is downloaded or watched by an address can be for so long, and for as long as the video lasts. */
const LINK_MS = 3_600_000;

/** The contract's Videos, to be mounted at `/v1/videos`. Throws GatewayError alone. */
export function videoRoutes(options: VideoRoutesOptions): Hono {
  const { videos, store, links, access, publicUrl, retentionMs, nameOf } = options;
  const routes = new Hono();

  routes.onError((error) => {
    throw objectErrorOf(error);
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

  const view = (video: Video) => videoView(video, retentionMs);

  routes.post('/', async (c) => {
    const key = c.req.header('idempotency-key');
    const wanted = parse(newVideo, await jsonOf(c));
    const made = await videos.create(OWNER, wanted, key === undefined ? null : parse(idempotencyKey, key));
    const { id, state } = made.video;
    const upload = made.upload && uploadView(made.upload, baseUrl(c, publicUrl));
    return c.json({ id, state, upload }, 201, { Location: `/v1/videos/${id}` });
  });

  routes.get('/', async (c) => {
    const { limit, cursor } = parse(page, c.req.query());
    const { entries, next } = await videos.list(OWNER, limit, cursor);
    return c.json({ items: entries.map(view), next });
  });

  routes.get('/:id', async (c) => {
    const video = await videos.get(OWNER, idOf(c));
    return c.json({ ...view(video), similarTo: await videos.similarTo(video) });
  });

  routes.post('/:id/complete', async (c) => {
    const { parts } = parse(completion, await jsonOf(c));
    const { id, state, job } = await videos.complete(OWNER, idOf(c), parts);
    return c.json({ id, state, job }, 202);
  });

  routes.get('/:id/faces', async (c) => {
    const { limit, cursor } = parse(facesPage, c.req.query());
    const { items, next } = await videos.faces(OWNER, idOf(c), limit, cursor);
    return c.json({ items: items.map((face) => faceView(face, nameOf)), next: next === null ? null : `${next}` });
  });

  routes.patch('/:id/faces', async (c) => {
    const { visible, faces = null } = parse(facesChange, await jsonOf(c));
    const meant = await videos.show(OWNER, idOf(c), faces, visible);
    return c.json({ items: meant.map((face) => ({ face, visible })) });
  });

  routes.patch('/:id/faces/:face', async (c) => {
    const { visible } = parse(faceChange, await jsonOf(c));
    const named = c.req.param('face');
    const face = /^\d{1,9}$/.test(named) ? Number(named) : 0;
    await videos.show(OWNER, idOf(c), [face], visible);
    return c.json({ face, visible });
  });

  routes.post('/:id/render', async (c) => {
    const { policy = {} } = parse(renderRequest, await jsonOf(c));
    const { id, state, job } = await videos.render(OWNER, idOf(c), policy);
    return c.json({ id, state, job }, 202);
  });

  routes.get('/:id/download', async (c) => {
    const { format } = parse(download, c.req.query());
    const video = await videos.get(OWNER, idOf(c));
    const ending = format === 'mp4' ? 'mp4' : 'json';
    const filename = `${video.filename.replace(/\.[^.]*$/, '') || 'video'}-blurred.${ending}`;
    const { url } = await signed(video, format, filename);
    return c.redirect(url, 302);
  });

  routes.get('/:id/hls', async (c) => {
    const video = await videos.get(OWNER, idOf(c));
    const output = outputOf(video);
    const token = links.sign(playlistOf(video.id, output), validMs(video));
    return c.redirect(`${publicUrl ?? ''}/hls/videos/${video.id}/index.m3u8?token=${token}`, 302);
  });

  routes.post('/:id/cancel', async (c) => c.json(view(await videos.cancel(OWNER, idOf(c))), 202));

  routes.delete('/:id', async (c) => {
    await videos.remove(OWNER, idOf(c));
    return c.body(null, 204);
  });

  return routes;

  function signed(video: Video, output: Output, filename?: string) {
    const key = outputKey(video, outputOf(video), output);
    return store.signGet(key, { expiresInSeconds: Math.ceil(validMs(video) / 1000), filename });
  }
}

/**
 * The playlist of a rendered video, at `/hls/videos/{id}/index.m3u8`, to whoever has an address that was signed for it; to
 * be mounted at `/`, after the routes whose CORS headers it shares. Its segments' addresses are signed by the store.
 */
export function videoPlaylistRoute({ videos, store, links, publicUrl }: VideoRoutesOptions): Hono {
  const routes = new Hono();

  routes.get('/hls/videos/:id/index.m3u8', async (c) => {
    const id = idOf(c);
    const video = await videos.get(OWNER, id).catch(() => null);
    // What is not there, and what was rendered anew since, look like any other wrong address.
    if (!video?.output || video.state !== 'done' || !links.opens(playlistOf(id, video.output), c.req.query('token'))) {
      throw new GatewayError('forbidden', 'this address has expired or was not signed by this server');
    }
    try {
      const { stream } = await store.get(outputKey(video, video.output, 'playlist'));
      const text = Buffer.concat(await stream.toArray()).toString();
      const expiresInSeconds = Math.ceil(validMs(video) / 1000);
      const { url } = await store.signGet(outputKey(video, video.output, 'segments'), { expiresInSeconds });
      const playlist = signedPlaylist(text, new URL(url, baseUrl(c, publicUrl)).href);
      c.header('Cross-Origin-Resource-Policy', 'cross-origin');
      return c.body(playlist, 200, { 'Content-Type': OUTPUTS.playlist.contentType, 'Cache-Control': 'no-store' });
    } catch (error) {
      throw objectErrorOf(error);
    }
  });

  return routes;
}

function idOf(c: Context): string {
  return c.req.param('id')!.toLowerCase();
}

/** @throws GatewayError 'video-not-ready' */
function outputOf({ state, output }: Video): string {
  if (state === 'done' && output !== null) return output;
  throw new GatewayError('video-not-ready', `the video is ${state}; it must have been rendered for this`);
}

/** What a playlist's address opens: one render's, and no later one's. */
function playlistOf(id: string, output: string): string {
  return `videos/${id}/${output}`;
}

function validMs({ facts }: Video): number {
  return LINK_MS + (facts?.durationMs ?? 0);
}
