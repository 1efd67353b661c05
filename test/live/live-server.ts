import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { loadServerConfig } from '../../gateway/config.ts';
import { Server } from '../../gateway/server.ts';
import { blurFile } from '../../inference/blur-file.ts';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { WhepViewer } from './whep-viewer.ts';

export interface MadeStream {
  readonly id: string;
  readonly key: string;
  readonly publish: { readonly whip: string; readonly rtmp: string };
  readonly play: { readonly whep: string };
}

/** The whole server on free ports, spoken to from outside. */
export class LiveServer {
  readonly server: Server;
  readonly folder: string;

  private constructor(server: Server, folder: string) {
    this.server = server;
    this.folder = folder;
  }

  static async start(environment: Record<string, string> = {}): Promise<LiveServer> {
    const folder = await mkdtemp(join(tmpdir(), 'faceblur-server-'));
    const server = await Server.create({
      config: loadServerConfig({
        HOME: process.env.HOME,
        XDG_CACHE_HOME: process.env.XDG_CACHE_HOME,
        ...{ PORT: '0', RTMP_PORT: '0', RTC_PORT: '0', DATA_DIR: folder },
        ...environment,
      }),
      blurFile,
      ready: async () => undefined,
      log: pino({ level: process.env.LIVE_LOG ?? 'silent' }),
    });
    return new LiveServer(server, folder);
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.server.url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : JSON.parse(text) };
  }

  async makeStream(settings: object = {}): Promise<MadeStream> {
    const { status, body } = await this.call('POST', '/v1/streams', settings);
    if (status !== 201) throw new Error(`the stream was refused: ${JSON.stringify(body)}`);
    return body as MadeStream;
  }

  async state(id: string): Promise<string> {
    const { body } = await this.call('GET', `/v1/streams/${id}`);
    return (body as { state: string }).state;
  }

  async untilLive(id: string, limitMs = 15_000): Promise<void> {
    const start = performance.now();
    while ((await this.state(id)) !== 'live') {
      if (performance.now() - start > limitMs) throw new Error(`stream ${id} did not come alive in ${limitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  watch({ play }: MadeStream, codec: VideoCodec): Promise<WhepViewer> {
    return WhepViewer.watch(codec, async (offer) => {
      const headers = { 'content-type': 'application/sdp' };
      const response = await fetch(play.whep, { method: 'POST', body: offer, headers });
      const answer = await response.text();
      if (response.status !== 201) throw new Error(`WHEP answered ${response.status}: ${answer}`);
      return answer;
    });
  }

  async close(): Promise<void> {
    await this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
