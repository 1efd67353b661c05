import { type Context, Hono } from 'hono';
import { FILES, RECORDING_ID, type Recording } from '../../recorder/recording/recording.ts';
import { recordingKey } from '../../recorder/recording/segment-delivery.ts';
import { GatewayError } from '../errors.ts';
import type { Access } from '../live/access.ts';
import { baseUrl } from '../live/public-urls.ts';
import { page, parse, streamId } from '../live/schemas.ts';
import { objectErrorOf } from '../objects/object-errors.ts';
import type { RecordingGateway } from './recording-gateway.ts';

/** Addresses in an answer open what they name for so long, and for as long as that lasts. */
export const LINK_MS = 3_600_000;

export interface RecordingRoutesOptions {
  readonly recording: Pick<RecordingGateway, 'recordings' | 'rows' | 'store' | 'links'>;
  readonly access: Access;
  /** What our addresses begin with; null: the Host of each request. */
  readonly publicUrl: string | null;
}

const recordingsPage = page.extend({ stream: streamId.optional() });

/** The contract's Recordings, to be mounted at `/v1/recordings`. */
export function recordingRoutes({ recording, access, publicUrl }: RecordingRoutesOptions): Hono {
  const { recordings, rows, store, links } = recording;
  const routes = new Hono();

  routes.use(async (c, next) => {
    await access.requireScope(c, 'operate');
    await next();
    c.header('Cache-Control', 'no-store');
  });

  /** With addresses that open what they name without another credential, for as long as it may take to play it. */
  async function view(c: Context, { id, stream, state, reason, startedAt, endedAt, durationMs, files }: Recording) {
    const base = baseUrl(c, publicUrl);
    const validMs = LINK_MS + durationMs;
    const link = async (file: keyof typeof FILES): Promise<string | null> => {
      if (!files[file]) return null;
      const key = recordingKey({ id, isKept: true }, FILES[file]);
      const expiresInSeconds = Math.ceil(validMs / 1000);
      const signed = await store.signGet(key, { expiresInSeconds, filename: `${stream}-${FILES[file]}` });
      return new URL(signed.url, base).href;
    };
    return {
      id,
      stream,
      state,
      reason,
      startedAt: startedAt.toISOString(),
      endedAt: endedAt?.toISOString() ?? null,
      durationMs: Math.round(durationMs),
      hls: `${base}/recordings/${id}/index.m3u8?token=${links.sign(id, validMs)}`,
      mp4: await link('mp4'),
      poster: await link('poster'),
      timeline: await link('timeline'),
    };
  }

  async function find(c: Context): Promise<Recording> {
    const id = c.req.param('id') ?? '';
    const found = RECORDING_ID.test(id) ? await rows.get(id) : null;
    if (!found) throw new GatewayError('recording-not-found', 'there is no such recording');
    return found;
  }

  routes.get('/', async (c) => {
    const { limit, cursor, stream = null } = parse(recordingsPage, c.req.query());
    const { entries, next } = await rows.list(stream, limit, cursor);
    return c.json({ items: await Promise.all(entries.map((entry) => view(c, entry))), next });
  });

  routes.get('/:id', async (c) => c.json(await view(c, await find(c))));

  routes.delete('/:id', async (c) => {
    const { id } = await find(c);
    await recordings.erase(id).catch((error) => {
      throw objectErrorOf(error);
    });
    return c.body(null, 204);
  });

  return routes;
}
