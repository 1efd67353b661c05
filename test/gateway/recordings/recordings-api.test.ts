import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Database } from '../../../gateway/database/database.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import { Access } from '../../../gateway/live/access.ts';
import { hlsRoutes } from '../../../gateway/recordings/hls-routes.ts';
import { LinkSigner } from '../../../gateway/recordings/link-signer.ts';
import { recordingRoutes } from '../../../gateway/recordings/recording-routes.ts';
import { LiveWindow } from '../../../recorder/recording/live-window.ts';
import { Recordings } from '../../../recorder/recording/recordings.ts';
import { LocalStore } from '../../../recorder/store/local-store.ts';
import type { LiveStream } from '../../../sfu/stream-types.ts';

const ID = '0123456789abcdef01234567';
const OTHER = 'fedcba9876543210fedcba98';
const HOUR_MS = 3_600_000;
const STARTED = new Date('2026-06-01T12:00:00.000Z');

let folder: string;
let database: Database;
let store: LocalStore;
let recordings: Recordings;
let window: LiveWindow;
let now: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faceblur-recordings-'));
  const log = pino({ level: 'silent' });
  database = await Database.open({ dataDir: folder, databaseUrl: null, log });
  const signingKey = createSecretKey(randomBytes(32));
  store = await LocalStore.open({ folder: join(folder, 'objects'), signingKey, baseUrl: '' });
  const spool = join(folder, 'spool');
  const rows = database.recordings;
  recordings = await Recordings.create({ store, rows, folder: spool, ffmpegPath: '', segmentMs: 4000, log });
  window = new LiveWindow(HOUR_MS, () => undefined);
  now = Date.parse('2026-06-02T00:00:00.000Z');
});

afterEach(async () => {
  await recordings.close();
  await store.close();
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

/** A recording of two segments and another after something was lost, with its MP4. */
async function keep(id = ID, stream = 'cam', startedAt = STARTED): Promise<void> {
  const { recordings: rows } = database;
  await rows.create({ id, stream, startedAt });
  for (const [number, part] of [
    [1, 1],
    [2, 1],
    [4, 2],
  ] as const) {
    await rows.addSegment(id, { number, part, durationMs: 4000.5, bytes: 4, faces: [] });
    await put(`recordings/${id}/${number}.m4s`, `seg${number}`, 'video/iso.segment');
    await put(`recordings/${id}/init-${part}.mp4`, `init${part}`, 'video/mp4');
  }
  await put(`recordings/${id}/recording.mp4`, 'whole', 'video/mp4');
  await rows.update(id, {
    state: 'partial',
    reason: 'ffmpeg failed meanwhile',
    endedAt: new Date(startedAt.getTime() + 13_000),
    files: { mp4: true, poster: false, timeline: false },
  });
}

async function put(key: string, text: string, contentType: string): Promise<void> {
  await store.put(key, Buffer.from(text), { contentType });
}

/** The routes of a server that is reached from anywhere, unless told otherwise; `play` opens stream cam. */
function app(bind = '0.0.0.0', signer?: LinkSigner) {
  const playTokens = { streamOf: async (token: string) => (token === 'play' ? 'cam' : null) };
  const access = new Access({ bind, playTokens });
  const links = signer ?? new LinkSigner(KEY, () => now);
  const withWindow = Object.assign(Object.create(recordings) as Recordings, {
    windowOf: (stream: string) => (stream === 'cam' && window.segments.length > 0 ? window : null),
    erase: (id: string) => recordings.erase(id),
  });
  Object.defineProperty(withWindow, 'segmentMs', { value: 4000 });
  const recording = { recordings: withWindow, rows: database.recordings, store, links };
  const find = (id: string) => (id === 'cam' ? ({ id, state: 'live' } as LiveStream) : null);
  const routes = new Hono();
  routes.route('/v1/recordings', recordingRoutes({ recording, access, publicUrl: null }));
  routes.route('/', hlsRoutes({ recording, streams: { find }, access, corsOrigins: ['https://player.example'] }));
  routes.onError((error, c) => {
    if (!(error instanceof GatewayError)) throw error;
    if (error.retryAfterSeconds) c.header('Retry-After', String(error.retryAfterSeconds));
    return c.json({ error: { code: error.code } }, error.status);
  });
  return routes;
}

const KEY = createSecretKey(randomBytes(32));
const ORIGIN = 'http://127.0.0.1:8080';
const get = (path: string, headers: Record<string, string> = {}, bind = '127.0.0.1') =>
  app(bind).request(new URL(path, ORIGIN).href, { headers: { host: '127.0.0.1:8080', ...headers } });

async function codeOf(answer: Response | Promise<Response>): Promise<string> {
  const { error } = (await (await answer).json()) as { error: { code: string } };
  return error.code;
}

/** The addresses that a playlist names, with how each is tagged. */
function named(playlist: string, at: string): string[] {
  const uris = [...playlist.matchAll(/URI="([^"]+)"|^([^#\n].*)$/gm)].map(([, map, segment]) => map ?? segment!);
  return uris.map((uri) => new URL(uri, new URL(at, ORIGIN)).href);
}

describe('/v1/recordings', () => {
  test('lists recordings of all streams or of one, in pages, as the contract has them', async () => {
    await keep();
    await keep(OTHER, 'door', new Date(STARTED.getTime() + 1000));
    const all = (await (await get('/v1/recordings')).json()) as { items: { id: string }[]; next: null };
    expect(all.items.map(({ id }) => id)).toEqual([ID, OTHER]);
    const page = (await (await get('/v1/recordings?limit=1')).json()) as { items: { id: string }[]; next: string };
    expect(page.items.map(({ id }) => id)).toEqual([ID]);
    const rest = await (await get(`/v1/recordings?limit=1&cursor=${page.next}`)).json();
    expect(rest).toMatchObject({ items: [{ id: OTHER }], next: null });
    const one = (await (await get('/v1/recordings?stream=CAM')).json()) as { items: object[] };
    expect(one.items).toEqual([
      {
        id: ID,
        stream: 'cam',
        state: 'partial',
        reason: 'ffmpeg failed meanwhile',
        startedAt: '2026-06-01T12:00:00.000Z',
        endedAt: '2026-06-01T12:00:13.000Z',
        durationMs: 12_002,
        hls: expect.stringMatching(new RegExp(`^${ORIGIN}/recordings/${ID}/index.m3u8\\?token=`)),
        mp4: expect.stringMatching(new RegExp(`^${ORIGIN}/objects/recordings/${ID}/recording.mp4\\?`)),
        poster: null,
        timeline: null,
      },
    ]);
    expect(await (await get(`/v1/recordings/${ID}`)).json()).toMatchObject({ id: ID, state: 'partial' });
  });

  test('is for operators alone, and says what is wrong', async () => {
    await keep();
    for (const path of ['/v1/recordings', `/v1/recordings/${ID}`]) {
      expect(await codeOf(get(path, {}, '0.0.0.0'))).toBe('unauthorized');
      expect(await codeOf(get(path, { authorization: 'Bearer play' }, '0.0.0.0'))).toBe('forbidden');
    }
    expect(await codeOf(get(`/v1/recordings/${OTHER}`))).toBe('recording-not-found');
    expect(await codeOf(get('/v1/recordings/..%2f..%2fstreams'))).toBe('recording-not-found');
    expect(await codeOf(get('/v1/recordings?cursor=x'))).toBe('bad-request');
    expect(await codeOf(get('/v1/recordings?stream=%00'))).toBe('bad-request');
  });

  test('DELETE leaves neither object nor row', async () => {
    await keep();
    await keep(OTHER);
    const gone = await app('127.0.0.1').request(`/v1/recordings/${ID}`, { method: 'DELETE' });
    expect(gone.status).toBe(204);
    expect((await store.list(`recordings/${ID}/`)).items).toEqual([]);
    expect((await store.list(`recordings/${OTHER}/`)).items).toHaveLength(6);
    expect(await database.recordings.get(ID)).toBeNull();
    expect(await database.recordings.segments(ID)).toEqual([]);
    const again = app('127.0.0.1').request(`/v1/recordings/${ID}`, { method: 'DELETE' });
    expect(await codeOf(again)).toBe('recording-not-found');
  });
});

describe('HLS of a recording', () => {
  const at = `/recordings/${ID}/index.m3u8`;

  async function hlsOf(): Promise<string> {
    const { hls } = (await (await get(`/v1/recordings/${ID}`)).json()) as { hls: string };
    return hls;
  }

  test('names signed segments, and begins anew where something was lost', async () => {
    await keep();
    const answer = await get(await hlsOf(), {}, '0.0.0.0');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/vnd.apple.mpegurl');
    const playlist = await answer.text();
    expect(playlist.replace(/\?token=[\w.-]+/g, '?token=T')).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="../../recordings/${ID}/init-1.mp4?token=T"
#EXTINF:4.00050,
../../recordings/${ID}/1.m4s?token=T
#EXTINF:4.00050,
../../recordings/${ID}/2.m4s?token=T
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="../../recordings/${ID}/init-2.mp4?token=T"
#EXTINF:4.00050,
../../recordings/${ID}/4.m4s?token=T
#EXT-X-ENDLIST
`);
    const texts = await Promise.all(named(playlist, at).map(async (url) => (await get(url, {}, '0.0.0.0')).text()));
    expect(texts).toEqual(['init1', 'seg1', 'seg2', 'init2', 'seg4']);
  });

  test('refuses addresses that are forged, of something else or expired, and playlists likewise', async () => {
    await keep();
    await keep(OTHER);
    const hls = await hlsOf();
    const [, segment] = named(await (await get(hls)).text(), at);
    const { searchParams } = new URL(segment!);
    const token = searchParams.get('token')!;
    const forged = [
      segment!.replace('1.m4s', '2.m4s'),
      segment!.replace(ID, OTHER),
      segment!.replace(/token=(\d+)/, (_, expires) => `token=${Number(expires) + 300}`),
      segment!.slice(0, -1) + (segment!.endsWith('A') ? 'B' : 'A'),
      segment!.replace(/\?.*/, ''),
      `/hls/windows/${ID}/1.m4s?token=${token}`,
      `/recordings/${ID}/recording.mp4?token=${token}`,
      `/recordings/${ID}/..%2f${OTHER}%2f1.m4s?token=${token}`,
    ];
    for (const url of forged) expect([url, (await get(url)).status]).toEqual([url, 403]);
    expect((await get(hls.replace(ID, OTHER), {}, '0.0.0.0')).status).toBe(401);
    expect((await get(at, {}, '0.0.0.0')).status).toBe(401);
    expect((await get(at)).status).toBe(200);
    expect((await get(segment!)).status).toBe(200);
    now += 2 * HOUR_MS;
    expect((await get(segment!)).status).toBe(403);
    expect((await get(hls, {}, '0.0.0.0')).status).toBe(401);
  });

  test('has the same addresses when it is read again, and pages of the origins named may read it', async () => {
    await keep();
    const hls = await hlsOf();
    const headers = { origin: 'https://player.example' };
    const first = await get(hls, headers);
    expect(first.headers.get('access-control-allow-origin')).toBe('https://player.example');
    now += 1000;
    expect(await (await get(hls)).text()).toBe(await first.text());
    const foreign = await get(hls, { origin: 'https://else.example' });
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('grows while it is recorded', async () => {
    await database.recordings.create({ id: ID, stream: 'cam', startedAt: STARTED });
    await database.recordings.addSegment(ID, { number: 1, part: 1, durationMs: 4000, bytes: 4, faces: [] });
    const playlist = await (await get(at)).text();
    expect(playlist).toContain('#EXT-X-PLAYLIST-TYPE:EVENT');
    expect(playlist).not.toContain('#EXT-X-ENDLIST');
  });
});

describe('live HLS', () => {
  const at = '/hls/cam/index.m3u8';
  const segment = (number: number, recording = ID, isKept = true) => {
    return { number, part: 1, durationMs: 4000, recording, isKept };
  };

  test('is for whoever may watch, by token or on loopback; a stream that is not live is told from none', async () => {
    await keep();
    expect(await codeOf(get(at))).toBe('stream-not-live');
    expect((await get(at)).headers.get('retry-after')).toBe('1');
    window.add(segment(1));
    expect((await get(at)).status).toBe(200);
    expect((await get('/hls/CAM/index.m3u8')).status).toBe(200);
    expect(await codeOf(get('/hls/none/index.m3u8'))).toBe('stream-not-found');
    for (const path of [at, '/hls/none/index.m3u8', `${at}?token=wrong`, '/hls/none/index.m3u8?token=play']) {
      expect([path, (await get(path, {}, '0.0.0.0')).status]).toEqual([path, 401]);
    }
    const watched = await get(`${at}?token=play`, {}, '0.0.0.0');
    expect(watched.status).toBe(200);
    const playlist = await watched.text();
    expect(playlist).not.toContain('play');
    expect(await (await get(named(playlist, at)[1]!, {}, '0.0.0.0')).text()).toBe('seg1');
    expect((await get(at, { authorization: 'Bearer play' }, '0.0.0.0')).status).toBe(200);
  });

  test('slides: old segments leave, numbers go on, and what is not kept is served as well', async () => {
    const left: number[] = [];
    window = new LiveWindow(12_000, ({ number }) => left.push(number));
    await put(`temp/hls/${OTHER}/1.m4s`, 'live', 'video/iso.segment');
    for (const number of [1, 2, 3]) window.add(segment(number));
    window.add(segment(1, OTHER, false));
    window.add(segment(2, OTHER, false));
    window.add(segment(3, OTHER, false));
    expect(left).toEqual([1, 2, 3]);
    const playlist = await (await get(at)).text();
    expect(playlist).toContain('#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n');
    expect(playlist).not.toContain('PLAYLIST-TYPE');
    expect(await (await get(named(playlist, at)[1]!)).text()).toBe('live');
    window.forget(OTHER);
    expect(await codeOf(get(at))).toBe('stream-not-live');
  });
});
