import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { type DestinationStream, pino } from 'pino';
import { vi } from 'vitest';
import { createApp } from '../../gateway/app.ts';
import type { ClipLimits } from '../../gateway/config.ts';
import type { ClipView } from '../../gateway/demo/clip.ts';
import { Clips } from '../../gateway/demo/clips.ts';
import { Vault } from '../../gateway/secrets/vault.ts';
import { StillGateway } from '../../gateway/stills/still-gateway.ts';
import { ImageEngine } from '../../inference/image/image-engine.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { FakeEngine } from './fake-engine.ts';
import { createLiveApp } from './live/live-app.ts';

const LIMITS: ClipLimits = { maxUploadBytes: 1_000_000, maxQueued: 8, maxKept: 16, lifetimeMs: 3_600_000 };

/** What an upload may consist of. */
type Body = ConstructorParameters<typeof Response>[0];

/** The routes over a fake engine and a folder of their own. */
export interface TestApp {
  readonly engine: FakeEngine;
  readonly clips: Clips;
  readonly dataDir: string;
  readonly request: Hono['request'];
  /** Log lines written so far. */
  readonly logged: string[];
  upload(body: Body): Promise<Response>;
  /** Uploads and expects 201. */
  accepted(body: Body): Promise<string>;
  view(id: string): Promise<ClipView>;
  reaches(id: string, state: ClipView['state']): Promise<ClipView>;
  /** Waits for the engine's call number `index`. */
  call(index: number): Promise<FakeEngine['calls'][number]>;
  /** Names of the clips' folders on disk. */
  folders(): Promise<string[]>;
  files(id: string): Promise<string[]>;
  close(): Promise<void>;
}

/** The error that an answer carries. */
export async function errorOf(response: Response): Promise<{ code: string; message: string; requestId: string }> {
  return ((await response.json()) as { error: Awaited<ReturnType<typeof errorOf>> }).error;
}

export async function createTestApp(limits: Partial<ClipLimits> = {}, ready = async () => {}): Promise<TestApp> {
  const dataDir = await mkdtemp(join(tmpdir(), 'faceblur-gateway-'));
  const engine = new FakeEngine();
  const logged: string[] = [];
  const sink: DestinationStream = { write: (line) => logged.push(line) };
  const log = pino({ level: 'trace' }, sink);
  const { blurFile } = engine;
  const clips = await Clips.create({ ...LIMITS, ...limits, dataDir, models: defaultModelLocations({}), blurFile, log });
  const live = { ...(await createLiveApp()), ready: true, rtmpPort: 1935 };
  const models = defaultModelLocations({});
  const stillOptions = {
    images: new ImageEngine(models),
    vault: new Vault(createSecretKey(randomBytes(32))),
    keptMs: 0,
  };
  const stills = await StillGateway.create({ ...stillOptions, models, dataDir, log });
  const jobs = {
    get: async () => null,
    listDead: async () => [],
    redrive: async () => Promise.reject(new Error('no jobs')),
  };
  const app = createApp({ clips, live, stills, jobs, publicUrl: null, corsOrigins: [], ready, log });
  const request = app.request as Hono['request'];
  const upload = async (body: Body) => request('/demo/clips', { method: 'POST', body });
  const view = async (id: string): Promise<ClipView> => {
    const response = await request(`/demo/clips/${id}`);
    return (await response.json()) as ClipView;
  };
  return {
    engine,
    clips,
    dataDir,
    request,
    logged,
    upload,
    accepted: async (body) => {
      const response = await upload(body);
      if (response.status !== 201) throw new Error(`upload answered ${response.status}: ${await response.text()}`);
      return ((await response.json()) as ClipView).id;
    },
    view,
    reaches: (id, state) =>
      vi.waitFor(async () => {
        const clip = await view(id);
        if (clip.state !== state) throw new Error(`clip is ${clip.state}, not ${state}`);
        return clip;
      }),
    call: (index) =>
      vi.waitFor(() => {
        const call = engine.calls[index];
        if (!call) throw new Error(`the engine had ${engine.calls.length} calls`);
        return call;
      }),
    folders: () => readdir(join(dataDir, 'demo')),
    files: (id) => readdir(join(dataDir, 'demo', id)),
    close: async () => {
      await stills.close();
      await clips.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
