import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { rolldown } from 'rolldown';
import { makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg } from '../clips/ffmpeg.ts';
import { LivePageRig } from '../gateway/live-page-rig.ts';
import { PlayedPicture } from '../gateway/played-picture.ts';
import { LiveServer } from './live-server.ts';

const PAGE_SCRIPT = fileURLToPath(new URL('browser-peer-page.js', import.meta.url));
const SCRIPT_PATH = '/browser-peer.js';
const PAGE = `<!doctype html><video playsinline></video><script type="module" src="${SCRIPT_PATH}"></script>`;

/** The whole server, and a browser whose camera films faces and whose pages hold mediasoup-client. */
export class BrowserPeerRig {
  readonly server: LiveServer;
  readonly played: PlayedPicture;
  readonly #browser: Browser;
  readonly #script: string;

  private constructor(server: LiveServer, played: PlayedPicture, browser: Browser, script: string) {
    this.server = server;
    this.played = played;
    this.#browser = browser;
    this.#script = script;
  }

  static async create(environment: Record<string, string>): Promise<BrowserPeerRig> {
    const server = await LiveServer.start(environment);
    const clip = await makeFaceClip(join(server.folder, 'clip.mp4'));
    const camera = join(server.folder, 'camera.mjpeg');
    await ffmpeg('-i', clip.path, '-an', '-c:v', 'mjpeg', '-q:v', '2', camera);
    const browser = await LivePageRig.launch(
      // Sound that is muted is not decoded either, and nobody is there to click.
      '--autoplay-policy=no-user-gesture-required',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-video-capture=${camera}`,
    );
    return new BrowserPeerRig(server, await PlayedPicture.of(clip), browser, await bundlePageScript());
  }

  /** A page of the server's own origin with a peer on a stream, as `peer`, in a context of its own. */
  async openPeer(stream: string): Promise<Page> {
    const context = await this.#browser.newContext();
    const page = await context.newPage();
    const { url } = this.server.server;
    await page.route(`${url}${SCRIPT_PATH}`, (route) => {
      return route.fulfill({ contentType: 'text/javascript', body: this.#script });
    });
    // An answer of the server's: with the rules that its pages have for what they load and connect to.
    await page.goto(`${url}/healthz`);
    await page.setContent(PAGE);
    await page.evaluate(`openPeer(${JSON.stringify(stream)})`);
    return page;
  }

  /** Ends all pages. */
  async closePages(): Promise<void> {
    for (const context of this.#browser.contexts()) await context.close();
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.server.close();
  }
}

async function bundlePageScript(): Promise<string> {
  const bundle = await rolldown({ input: PAGE_SCRIPT, platform: 'browser' });
  try {
    const { output } = await bundle.generate({ format: 'esm' });
    return output[0].code;
  } finally {
    await bundle.close();
  }
}
