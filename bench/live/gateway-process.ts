import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OUT_FOLDER } from '../clips.ts';
import { AnnouncedProcess } from './announced-process.ts';
import { StreamApi } from './stream-api.ts';

const COMMAND = join(import.meta.dirname, '..', '..', 'gateway', 'cli.ts');
const RAW_SFU = join(import.meta.dirname, 'raw-sfu.ts');
/** What a child needs of our environment; nothing else may change what is measured. */
const INHERITED = ['PATH', 'HOME', 'XDG_CACHE_HOME', 'MEDIASOUP_WORKER_BIN', 'FACEBLUR_MODELS_DIR', 'FFMPEG_PATH'];

function environment(): Record<string, string | undefined> {
  return Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
}

/** `faceblur serve` as a user starts it, on free ports of loopback, with a data folder of its own. */
export class GatewayProcess {
  readonly api: StreamApi;
  readonly process: AnnouncedProcess;
  readonly #folder: string;

  private constructor(started: AnnouncedProcess, folder: string) {
    this.process = started;
    this.api = new StreamApi(started.url, () => started.problems());
    this.#folder = folder;
  }

  static async start({ profile }: { readonly profile: boolean }): Promise<GatewayProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'faceblur-bench-'));
    const ports = { HOST: '127.0.0.1', PORT: '0', RTMP_PORT: '0', RTC_PORT: '0' };
    const profiles = join(OUT_FOLDER, 'profiles');
    if (profile) mkdirSync(profiles, { recursive: true });
    try {
      const started = await AnnouncedProcess.start({
        name: 'faceblur serve',
        args: [...(profile ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []), COMMAND, 'serve'],
        env: { ...environment(), ...ports, DATA_DIR: join(folder, 'data'), LOG_LEVEL: 'warn' },
        // Where no .env lies.
        cwd: folder,
      });
      return new GatewayProcess(started, folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get url(): string {
    return this.process.url;
  }

  get pid(): number {
    return this.process.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    for (const problem of this.process.problems()) console.error(problem.slice(0, 400));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The same media server with nothing between publisher and viewer: what blurring is compared with. */
export function startRawSfu(): Promise<AnnouncedProcess> {
  return AnnouncedProcess.start({ name: 'SFU alone', args: [RAW_SFU], env: environment(), cwd: tmpdir() });
}
