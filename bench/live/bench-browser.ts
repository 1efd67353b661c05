import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM_PATH || '/usr/bin/chromium';
const ARGUMENTS = [
  '--headless',
  // Chromium's sandbox does not run as root.
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
  '--autoplay-policy=no-user-gesture-required',
  // mDNS names for loopback candidates can't be resolved here.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];
const PAGE_SCRIPT = readFileSync(join(import.meta.dirname, 'page.js'), 'utf8');

/** A page with the bench's functions in it. */
export class BenchPage {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** Calls one of the functions of page.js. @throws Error with the page's message */
  call<T>(name: string, ...args: readonly unknown[]): Promise<T> {
    return this.#page.evaluate(`bench.${name}(...${JSON.stringify(args)})`) as Promise<T>;
  }

  close(): Promise<void> {
    return this.#page.close();
  }
}

/** Headless Chromium. */
export class BenchBrowser {
  readonly version: string;
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
    this.version = browser.version();
  }

  static async start(): Promise<BenchBrowser> {
    return new BenchBrowser(await chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS }));
  }

  /** A page of the server's own origin, so that it may speak WHIP and WHEP to it. */
  async open(url: string): Promise<BenchPage> {
    const page = await this.#browser.newPage({ viewport: { width: 800, height: 600 } });
    await page.goto(`${url}/healthz`);
    await page.evaluate(PAGE_SCRIPT);
    return new BenchPage(page);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
