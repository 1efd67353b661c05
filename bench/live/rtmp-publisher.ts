import { type ChildProcess, spawn } from 'node:child_process';
import { findFfmpeg } from '../ffmpeg-executable.ts';
import { endWithUs } from './end-with-us.ts';
import { publishArguments, type RtmpClip } from './rtmp-clip.ts';
import type { StreamView } from './stream-api.ts';

const STOP_LIMIT_MS = 3000;

/** FFmpeg publishing a file by RTMP as it is: the cheapest load there is, no coding and no SRTP. */
export class RtmpPublisher {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #written = '';

  private constructor(child: ChildProcess) {
    endWithUs(child);
    this.#child = child;
    this.pid = child.pid!;
    this.#exited = new Promise((resolve) => child.once('close', () => resolve()));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      // It repeats the address that it publishes to, which holds the key.
      this.#written = `${this.#written}${text.replace(/key=[\w-]+/g, 'key=…')}`.slice(-2000);
    });
  }

  static async start(clip: RtmpClip, stream: Pick<StreamView, 'publish' | 'key'>): Promise<RtmpPublisher> {
    const { path } = await findFfmpeg();
    const args = publishArguments(clip, `${stream.publish.rtmp}?key=${stream.key}`);
    return new RtmpPublisher(spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] }));
  }

  /** What it complained of. */
  get written(): string {
    return this.#written;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Ends the connection as a publisher does that stops. */
  async stop(): Promise<void> {
    this.#child.kill('SIGINT');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
