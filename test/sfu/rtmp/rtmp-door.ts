import pino from 'pino';
import { afterEach } from 'vitest';
import type { MediaSource } from '../../../sfu/media-source.ts';
import { RtmpServer, type RtmpServerOptions } from '../../../sfu/rtmp/rtmp-server.ts';
import { until } from './until.ts';

export const KEY = 'the-right-key-5f1c';

/** An RTMP server on a free port that lets in whoever has `KEY`, and keeps what it was asked and what it said. */
export class RtmpDoor {
  readonly server: RtmpServer;
  readonly asked: { readonly streamId: string; readonly key: string }[];
  readonly published: { readonly streamId: string; readonly source: MediaSource }[];
  readonly logged: string[];

  private constructor(server: RtmpServer, parts: Pick<RtmpDoor, 'asked' | 'published' | 'logged'>) {
    this.server = server;
    this.asked = parts.asked;
    this.published = parts.published;
    this.logged = parts.logged;
  }

  static async open(options: Partial<RtmpServerOptions> = {}): Promise<RtmpDoor> {
    const parts: Pick<RtmpDoor, 'asked' | 'published' | 'logged'> = { asked: [], published: [], logged: [] };
    const log = pino({ level: 'trace' }, { write: (line: string) => parts.logged.push(line) });
    const server = await RtmpServer.create({
      host: '127.0.0.1',
      port: 0,
      authorize: async (streamId, key) => {
        parts.asked.push({ streamId, key });
        return key === KEY;
      },
      onPublish: async (streamId, source) => {
        parts.published.push({ streamId, source });
      },
      log,
      ...options,
    });
    open.add(server);
    return new RtmpDoor(server, parts);
  }

  url(stream: string, key: string | null = KEY, app = 'live'): string {
    return `rtmp://127.0.0.1:${this.server.port}/${app}/${stream}${key === null ? '' : `?key=${key}`}`;
  }

  async nextPublish(index = 0): Promise<{ readonly streamId: string; readonly source: MediaSource }> {
    await until(() => this.published.length > index, 'a publish');
    return this.published[index]!;
  }
}

const open = new Set<RtmpServer>();

afterEach(async () => {
  await Promise.all([...open].map((server) => server.close()));
  open.clear();
});
