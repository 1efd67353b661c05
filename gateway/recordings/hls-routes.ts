import { Readable } from 'node:stream';
import { type Context, Hono } from 'hono';
import { type PlaylistSegment, writePlaylist } from '../../recorder/recording/playlist.ts';
import { RECORDING_ID } from '../../recorder/recording/recording.ts';
import { recordingKey } from '../../recorder/recording/segment-delivery.ts';
import { GatewayError } from '../errors.ts';
import type { Access } from '../live/access.ts';
import { type CorsOrigins, corsHeaders } from '../live/cors.ts';
import type { Streams } from '../live/streams.ts';
import { objectErrorOf } from '../objects/object-errors.ts';
import { Slots } from '../objects/slots.ts';
import type { RecordingGateway } from './recording-gateway.ts';
import { LINK_MS } from './recording-routes.ts';

export interface HlsRoutesOptions {
  readonly recording: Pick<RecordingGateway, 'recordings' | 'rows' | 'store' | 'links'>;
  readonly streams: Pick<Streams, 'find'>;
  readonly access: Access;
  readonly corsOrigins: CorsOrigins;
}

const PLAYLIST = 'application/vnd.apple.mpegurl';
const SEGMENT = /^(\d{1,9}\.m4s|init-\d{1,9}\.mp4)$/;
/** Segments that are sent at a time. */
const MAX_READS = 512;
/** A client that takes longer for one segment is given up. */
const SEND_TIMEOUT_MS = 60_000;
/** A browser may keep what it has fetched, which never changes. */
const SEGMENT_AGE_S = 3600;

/**
 * Live HLS at `/hls/{stream}/index.m3u8` and recordings' at `/recordings/{id}/index.m3u8`, to be mounted at `/`. A
 * playlist is opened by a credential or token; what it names, by the signature in each address.
 */
export function hlsRoutes({ recording, streams, access, corsOrigins }: HlsRoutesOptions): Hono {
  const { recordings, rows, store, links } = recording;
  const routes = new Hono();
  const reads = new Slots(MAX_READS);
  routes.use('/hls/*', corsHeaders(corsOrigins));
  routes.use('/recordings/*', corsHeaders(corsOrigins));

  const playlist = (c: Context, text: string) =>
    c.body(text, 200, { 'Content-Type': PLAYLIST, 'Cache-Control': 'no-store' });
  const linker = (validMs: number) => (segment: PlaylistSegment, name: string) => {
    const path = pathOf(segment, name);
    // From /hls/ID/ as from /recordings/ID/.
    return `../../${path}?token=${links.sign(path, validMs)}`;
  };

  routes.get('/hls/:stream/index.m3u8', async (c) => {
    const id = c.req.param('stream').toLowerCase();
    // Before anything is told of the stream: without a credential, what exists and what doesn't look alike.
    const credential = c.req.query('token') ?? bearerOf(c);
    if (!(await access.mayWatch(id, credential))) {
      throw new GatewayError('unauthorized', 'this needs a play token, as ?token= or Authorization: Bearer');
    }
    const live = streams.find(id);
    if (!live) throw new GatewayError('stream-not-found', 'there is no such stream');
    const window = recordings.windowOf(id);
    if (!window || live.state === 'idle') {
      const message = 'nobody publishes this stream now, or it is not packaged as HLS';
      throw new GatewayError('stream-not-live', message, { retryAfterSeconds: 1 });
    }
    const { segments, firstSequence, firstDiscontinuity } = window;
    const { segmentMs } = recordings;
    const link = linker(LINK_MS);
    return playlist(c, writePlaylist({ kind: 'window', segments, segmentMs, firstSequence, firstDiscontinuity, link }));
  });

  routes.get('/recordings/:id/index.m3u8', async (c) => {
    const id = c.req.param('id');
    if (!links.opens(id, c.req.query('token'))) await access.requireScope(c, 'operate');
    const found = RECORDING_ID.test(id) ? await rows.get(id) : null;
    if (!found) throw new GatewayError('recording-not-found', 'there is no such recording');
    const segments = (await rows.segments(id)).map((segment) => ({ ...segment, recording: id, isKept: true }));
    const kind = found.state === 'recording' ? 'event' : 'whole';
    const link = linker(LINK_MS + found.durationMs);
    return playlist(c, writePlaylist({ kind, segments, segmentMs: recordings.segmentMs, link }));
  });

  for (const [address, isKept] of [
    ['/recordings/:id/:name', true],
    ['/hls/windows/:id/:name', false],
  ] as const) {
    routes.get(address, async (c) => {
      const { id, name } = c.req.param() as { id: string; name: string };
      const path = pathOf({ recording: id, isKept }, name);
      if (!RECORDING_ID.test(id) || !SEGMENT.test(name) || !links.opens(path, c.req.query('token'))) {
        throw new GatewayError('forbidden', 'this address has expired or was not signed by this server');
      }
      const release = reads.take();
      try {
        const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(SEND_TIMEOUT_MS)]);
        const { stream, head } = await store.get(recordingKey({ id, isKept }, name), { signal });
        stream.once('close', release);
        c.header('Content-Type', head.contentType);
        c.header('Content-Length', `${head.size}`);
        c.header('Cache-Control', `private, max-age=${SEGMENT_AGE_S}, immutable`);
        if (c.req.method === 'HEAD') {
          stream.destroy();
          return c.body(null);
        }
        return c.body(Readable.toWeb(stream) as ReadableStream);
      } catch (error) {
        release();
        throw objectErrorOf(error);
      }
    });
  }
  return routes;
}

function pathOf({ recording, isKept }: Pick<PlaylistSegment, 'recording' | 'isKept'>, name: string): string {
  return isKept ? `recordings/${recording}/${name}` : `hls/windows/${recording}/${name}`;
}

function bearerOf(c: Context): string | null {
  return /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? null;
}
