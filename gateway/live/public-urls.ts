import type { Context } from 'hono';

export interface PublicUrlOptions {
  /** What our addresses begin with, without a closing slash; null: `http://` and the Host of each request. */
  readonly publicUrl: string | null;
  /** The port that RTMP is listened for on, known once it is. */
  readonly rtmpPort: () => number;
  /** Whether there are HLS routes to point to. */
  readonly hls: boolean;
}

/** Where a stream is published to and played from: absolute addresses, without any secret. */
export interface StreamUrls {
  readonly publish: { readonly whip: string; readonly rtmp: string };
  readonly play: { readonly whep: string; readonly hls: string | null; readonly page: string };
}

/** The addresses of stream `id`, as the client that sent `c` can reach them. */
export function streamUrls(
  c: Context,
  { id, packaged }: { readonly id: string; readonly packaged: boolean },
  { publicUrl, rtmpPort, hls }: PublicUrlOptions,
): StreamUrls {
  const base = baseUrl(c, publicUrl);
  return {
    // RTMP_PORT is a port of the same host; what stands before HTTP need not speak RTMP on its own.
    publish: { whip: `${base}/whip/${id}`, rtmp: `rtmp://${new URL(base).hostname}:${rtmpPort()}/live/${id}` },
    play: {
      whep: `${base}/whep/${id}`,
      hls: hls && packaged ? `${base}/hls/${id}/index.m3u8` : null,
      page: `${base}/embed/${id}`,
    },
  };
}

/** What the addresses begin with that the client of `c` is given. */
export function baseUrl(c: Context, publicUrl: string | null): string {
  return publicUrl ?? originOf(c);
}

function originOf(c: Context): string {
  const host = c.req.header('host');
  return (host === undefined ? null : URL.parse(`http://${host}`)?.origin) ?? new URL(c.req.url).origin;
}
