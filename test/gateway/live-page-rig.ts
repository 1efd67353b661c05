import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Browser, chromium, type Page } from 'playwright-core';
import { loadServerConfig } from '../../gateway/config.ts';
import { Server } from '../../gateway/server.ts';
import { blurFile } from '../../inference/blur-file.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { ffmpeg, hasFfmpeg } from '../clips/ffmpeg.ts';
import { PlayedPicture } from './played-picture.ts';

const CHROMIUM = '/usr/bin/chromium';
const CHROMIUM_ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Worker, engine and browser share few cores with other tests. */
export const PATIENCE = { timeout: 30_000, interval: 100 };

export const canRunLivePage = existsSync(CHROMIUM) && hasFfmpeg;

/** Keeps the page's connections where a test finds them, and changes nothing. */
const KEEP_PEERS = `
  globalThis.peers = [];
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) { super(...options); peers.push(this); }
  };`;

/** What the page keeps of its stream. */
export interface KeptStream {
  readonly id: string;
  readonly key: string;
}

/** A gateway with everything real, and a browser whose camera films a clip of faces. */
export class LivePageRig {
  readonly folder: string;
  readonly clip: FaceClip;
  readonly played: PlayedPicture;
  readonly browser: Browser;
  /** What went wrong in pages: exceptions, and what browsers complain of. */
  readonly problems: string[] = [];
  #server: Server;

  private constructor(folder: string, clip: FaceClip, played: PlayedPicture, browser: Browser, server: Server) {
    this.folder = folder;
    this.clip = clip;
    this.played = played;
    this.browser = browser;
    this.#server = server;
  }

  static async create(): Promise<LivePageRig> {
    const folder = await mkdtemp(join(tmpdir(), 'faceblur-live-page-'));
    const clip = await makeFaceClip(join(folder, 'in.mp4'));
    const camera = join(folder, 'camera.mjpeg');
    await ffmpeg('-i', clip.path, '-an', '-c:v', 'mjpeg', '-q:v', '2', camera);
    const server = await startServer(folder, '0');
    const browser = await LivePageRig.launch(
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-video-capture=${camera}`,
    );
    return new LivePageRig(folder, clip, await PlayedPicture.of(clip), browser, server);
  }

  /** A browser of its own; the caller closes it. */
  static launch(...args: string[]): Promise<Browser> {
    return chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_ARGS, ...args] });
  }

  /** The start page, in a context of its own that the caller closes. */
  async open(browser = this.browser): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1200, height: 900 } });
    const page = await context.newPage();
    await page.addInitScript(KEEP_PEERS);
    page.on('pageerror', (error) => this.problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && this.problems.push(message.text()));
    await page.goto(this.#server.url);
    return page;
  }

  /** What the API says of the stream that a page made. */
  async streamOf(page: Page): Promise<{ state: string; reason: string | null; policy: unknown; stats: unknown }> {
    const { id } = await keptStream(page);
    const response = await fetch(`${this.#server.url}/v1/streams/${id}`);
    return (await response.json()) as Awaited<ReturnType<LivePageRig['streamOf']>>;
  }

  /** Closes the gateway, and starts it again at the same address once `meanwhile` is done. */
  async restartServer(meanwhile: () => Promise<unknown>): Promise<void> {
    const { port } = new URL(this.#server.url);
    await this.#server.close();
    await meanwhile();
    this.#server = await startServer(this.folder, port);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.#server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function startServer(folder: string, port: string): Promise<Server> {
  return Server.create({
    config: loadServerConfig({ PORT: port, RTC_PORT: '0', RTMP_PORT: '0', DATA_DIR: folder }),
    blurFile,
    ready: async () => {},
    log: pino({ level: process.env.LIVE_LOG ?? 'silent' }),
  });
}

/** Waits until one of the page's two screens, `#sent` or `#watched`, says this. */
export function screenSays(page: Page, screen: string, label: string): Promise<void> {
  return page.locator(`${screen} .screen-chip`, { hasText: label }).waitFor({ timeout: PATIENCE.timeout });
}

/** The page's stream and its key. */
export function keptStream(page: Page): Promise<KeptStream> {
  return page.evaluate(`JSON.parse(sessionStorage.getItem('faceblur-live-stream'))`);
}

/**
 * The page's own ICE user names that its connections send from now. The server's say less: Chromium may try the new way
 * to the server's old candidate before it has the answer, and mediasoup takes both names.
 */
export function iceUsers(page: Page): Promise<string[]> {
  return page.evaluate(`peers.flatMap((peer) => {
    const pair = peer.getTransceivers()[0].receiver.transport?.iceTransport.getSelectedCandidatePair();
    return pair?.local.usernameFragment ?? [];
  })`);
}

/** What has come of sound in all connections of a page: bytes, and the energy of what they were decoded to. */
export async function heard(page: Page): Promise<{ bytes: number; energy: number }> {
  return (await page.evaluate(`(async () => {
    const sum = { bytes: 0, energy: 0 };
    for (const peer of peers) {
      for (const report of (await peer.getStats()).values()) {
        if (report.type !== 'inbound-rtp' || report.kind !== 'audio') continue;
        sum.bytes += report.bytesReceived;
        sum.energy += report.totalAudioEnergy;
      }
    }
    return sum;
  })()`)) as { bytes: number; energy: number };
}
