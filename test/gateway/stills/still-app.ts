import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { type RequestIdVariables, requestId } from 'hono/request-id';
import { type DestinationStream, pino } from 'pino';
import { GatewayError } from '../../../gateway/errors.ts';
import { Access } from '../../../gateway/live/access.ts';
import { PlayTokens } from '../../../gateway/live/play-tokens.ts';
import { Vault } from '../../../gateway/secrets/vault.ts';
import { type StillRoutesOptions, stillRoutes } from '../../../gateway/stills/routes.ts';
import { StillGateway } from '../../../gateway/stills/still-gateway.ts';
import { ImageEngine } from '../../../inference/image/image-engine.ts';
import type { ModelLocations } from '../../../models/locations.ts';
import { MemoryPlayTokenStore } from '../live/memory-store.ts';

export interface StillAppOptions {
  readonly models: ModelLocations;
  readonly keptMs?: number;
  readonly bind?: string;
  /** What of the routes' own is another than the server's. */
  readonly routes?: Partial<StillRoutesOptions>;
}

/** What a field of a form holds: files. */
export type Fields = Record<string, Uint8Array | readonly Uint8Array[]>;

// biome-ignore lint/suspicious/noExplicitAny: tests assert on what they read
export type Answer = { status: number; headers: Headers; body: any };

/** The routes of still pictures with an engine of their own and a folder of their own, and a credential that may only watch. */
export async function createStillApp({ models, keptMs = 3_600_000, bind = '127.0.0.1', routes }: StillAppOptions) {
  const dataDir = await mkdtemp(join(tmpdir(), 'faceblur-stills-'));
  const logged: string[] = [];
  const sink: DestinationStream = { write: (line) => logged.push(line) };
  const log = pino({ level: 'trace' }, sink);
  const vault = new Vault(createSecretKey(randomBytes(32)));
  const images = new ImageEngine(models, (message) => log.warn(message));
  const gateway = await StillGateway.create({ images, models, dataDir, vault, keptMs, log });
  const playTokens = new PlayTokens(new MemoryPlayTokenStore());
  const access = new Access({ bind, playTokens });
  const { stills, intake, limits } = gateway;

  const app = new Hono<{ Variables: RequestIdVariables }>();
  app.use(requestId());
  app.route('/v1/faces', stillRoutes({ stills, intake, limits, access, log, ...routes }));
  app.onError((error, c) => {
    if (!(error instanceof GatewayError)) throw error;
    const { code, message, status, retryAfterSeconds } = error;
    if (retryAfterSeconds !== undefined) c.header('Retry-After', String(retryAfterSeconds));
    return c.json({ error: { code, message, requestId: c.get('requestId') } }, status);
  });

  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await app.request(`/v1/faces/${path}`, { method: 'POST', ...init });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  return {
    app,
    gateway,
    logged,
    dataDir,
    send,
    /** Sends files as a browser's form does. */
    post: async (path: string, fields: Fields, headers: Record<string, string> = {}) => {
      const form = new Response(formOf(fields));
      // Whole: a form of undici's own does not take it well that nobody reads it to its end.
      const body = await form.arrayBuffer();
      return send(path, { body, headers: { 'content-type': form.headers.get('content-type')!, ...headers } });
    },
    postJson: (path: string, value: unknown) =>
      send(path, { body: JSON.stringify(value), headers: { 'content-type': 'application/json' } }),
    playToken: () => playTokens.make('cam', new Date(Date.now() + 3_600_000)),
    /** Answers that are kept on disk. */
    kept: async () => (await readdir(join(dataDir, 'stills'))).filter((name) => name !== 'key'),
    close: async () => {
      await images.close();
      await gateway.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export type StillApp = Awaited<ReturnType<typeof createStillApp>>;

export function formOf(fields: Fields): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const file of value instanceof Uint8Array ? [value] : value) {
      form.append(name, new File([file as Uint8Array<ArrayBuffer>], 'photo.jpg', { type: 'image/jpeg' }));
    }
  }
  return form;
}
