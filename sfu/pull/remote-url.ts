import { SfuError } from '../errors.ts';

const DEFAULT_PORTS = { rtsp: 554, rtmp: 1935 } as const;
const MAX_LENGTH = 2048;

export type RemoteProtocol = keyof typeof DEFAULT_PORTS;

/** What FFmpeg is given in place of a URL: everything of it but the host, which stands behind a relay. */
export interface RelayedUrl {
  readonly url: string;
  /** FFmpeg's options that go with it. */
  readonly options: Readonly<Record<string, string>>;
}

/** A URL that media are pulled from or pushed to. It may hold credentials: `label` is what may be shown. */
export class RemoteUrl {
  readonly protocol: RemoteProtocol;
  readonly hostname: string;
  readonly port: number;
  readonly #url: URL;

  private constructor(protocol: RemoteProtocol, url: URL) {
    this.protocol = protocol;
    this.#url = url;
    this.hostname = url.hostname;
    this.port = url.port === '' ? DEFAULT_PORTS[protocol] : Number(url.port);
  }

  /** @throws SfuError 'source-refused' when it is no URL of these protocols; the message does not repeat it */
  static parse(text: string, protocols: readonly RemoteProtocol[]): RemoteUrl {
    const url = text.length <= MAX_LENGTH && URL.canParse(text) ? new URL(text) : null;
    const protocol = protocols.find((one) => url?.protocol === `${one}:`);
    if (!url || !protocol || url.hostname === '' || url.port === '0') {
      throw new SfuError('source-refused', `not a URL of ${protocols.map((one) => `${one}://`).join(' or ')}`);
    }
    return new RemoteUrl(protocol, url);
  }

  /** Protocol and host, without credentials, path and stream key. */
  get label(): string {
    return `${this.protocol}://${this.hostname}`;
  }

  /** The same, as seen through a relay that listens on this port of loopback. */
  through(relayPort: number): RelayedUrl {
    const { username, password, pathname, search } = this.#url;
    const credentials = username === '' ? '' : `${username}${password === '' ? '' : `:${password}`}@`;
    const host = `${credentials}127.0.0.1:${relayPort}`;
    if (this.protocol === 'rtsp') return { url: `rtsp://${host}${pathname}${search}`, options: {} };
    const { app, playpath } = splitRtmpPath(`${pathname}${search}`);
    return {
      url: `rtmp://${host}/`,
      // Servers tell their virtual hosts apart by it.
      options: { rtmp_app: app, rtmp_playpath: playpath, rtmp_tcurl: `rtmp://${this.#url.host}/${app}` },
    };
  }
}

/** As FFmpeg's own URLs: `/app/stream`, or `/app/instance/stream` where there are three parts. */
function splitRtmpPath(path: string): { app: string; playpath: string } {
  const [whole, query] = path.replace(/^\//, '').split(/\?(.*)/s, 2) as [string, string | undefined];
  const parts = whole.split('/');
  const app = parts.slice(0, parts.length > 2 ? 2 : 1).join('/');
  const stream = parts.slice(parts.length > 2 ? 2 : 1).join('/');
  return { app, playpath: query === undefined ? stream : `${stream}?${query}` };
}
