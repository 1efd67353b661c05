import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { loadServerConfig } from '../../gateway/config.ts';
import { Server } from '../../gateway/server.ts';
import { blurFile } from '../../inference/blur-file.ts';
import { makeTestClip } from './test-clip.ts';

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
/** Both videos may be this far apart while playing: the page's own bound plus a frame that is being shown. */
const MAX_APART_S = 0.2;
/** The page in a phone's width, and on a desk. */
const PHONE = { width: 375, height: 740 };
/** The first page's controls as Tab reaches them: live is the main job. */
const WAYS_IN = ['live-camera', 'live-file', 'live-encoder', 'file'];

describe.skipIf(!existsSync(CHROMIUM))('start page in Chromium', () => {
  let folder: string;
  let clip: string;
  let server: Server;
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'faceblur-page-'));
    clip = join(folder, 'a street.mp4');
    await makeTestClip(clip);
    await writeFile(join(folder, 'empty.mp4'), '');
    await writeFile(join(folder, 'large.mp4'), new Uint8Array(5_000_000));
    server = await Server.create({
      config: loadServerConfig({
        PORT: '0',
        RTMP_PORT: '0',
        RTC_PORT: '0',
        DATA_DIR: folder,
        MAX_UPLOAD_BYTES: '4000000',
      }),
      blurFile,
      ready: async () => {},
      log: pino({ level: 'silent' }),
    });
    browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    problems.length = 0;
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(server.url);
  });
  afterEach(() => page.close());

  const seconds = (id: string) => page.locator(id).evaluate((video) => (video as unknown as Media).currentTime);
  const done = () => page.waitForSelector('#done:not([hidden])');

  test('a chosen clip is uploaded, blurred, and both videos play in step', async () => {
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    await page.setInputFiles('#file', clip);
    await page.waitForSelector('#busy:not([hidden])');
    await done();
    expect(await page.textContent('#done-title')).toMatch(/^Done: /);

    await page.click('#play');
    for (const id of ['#blurred', '#original'])
      await vi.waitFor(async () => expect(await seconds(id)).toBeGreaterThan(0.5));
    expect(Math.abs((await seconds('#blurred')) - (await seconds('#original')))).toBeLessThan(MAX_APART_S);
    expect(await page.getAttribute('#play', 'aria-label')).toBe('Pause');
    await page.keyboard.press('Space');
    await vi.waitFor(async () => expect(await page.getAttribute('#play', 'aria-label')).toBe('Play'));

    await page.locator('#seek').fill('2');
    for (const id of ['#blurred', '#original'])
      await vi.waitFor(async () => expect(await seconds(id)).toBeCloseTo(2, 1));
    expect(problems).toEqual([]);
    // The original comes from the file that the user chose, never from a server.
    expect(await page.getAttribute('#original', 'src')).toMatch(/^blob:/);
    expect(new Set(asked.filter((origin) => origin !== 'null'))).toEqual(new Set([server.url]));
  });

  test('the download is named after the clip', async () => {
    await page.setInputFiles('#file', clip);
    await done();
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
    expect(download.suggestedFilename()).toBe('a street-blurred.mp4');
    expect(await download.failure()).toBeNull();
  });

  test('a dropped clip is taken, and another one after it', async () => {
    for (const [next, selector] of [
      ['#another', '#drop'],
      [null, '#drop'],
    ] as const) {
      await dropFile(page, selector, clip);
      await done();
      if (next) await page.click(next);
    }
    expect(problems).toEqual([]);
  });

  test('Cancel leaves no clip on the server and shows the first view', async () => {
    await page.setInputFiles('#file', clip);
    await page.locator('#stage', { hasText: 'Blurring' }).waitFor();
    await page.click('#cancel');
    await page.waitForSelector('#empty:not([hidden])');
    await vi.waitFor(async () => expect(await readdir(join(folder, 'demo'))).toEqual([]));
  });

  test('leaving the page erases its clip', async () => {
    await page.setInputFiles('#file', clip);
    await done();
    await page.goto('about:blank');
    await vi.waitFor(async () => expect(await readdir(join(folder, 'demo'))).toEqual([]));
  });

  test.each([
    ['empty.mp4', /This file is empty/],
    ['large.mp4', /^The clip is larger than 3\.8 MiB/],
  ])('the server’s refusal of %s is shown in plain words, and one can go on', async (name, words) => {
    await page.setInputFiles('#file', join(folder, name));
    await page.waitForSelector('#failed:not([hidden])');
    expect(await page.textContent('#failed-message')).toMatch(words);
    await page.click('#retry');
    await page.setInputFiles('#file', clip);
    await done();
  });

  test('fits a phone: nothing reaches past its sides', async () => {
    await page.setViewportSize(PHONE);
    const overflow = () => page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(await overflow()).toBe(0);
    await page.setInputFiles('#file', clip);
    await page.waitForSelector('#busy:not([hidden])');
    expect(await overflow()).toBe(0);
    await done();
    expect(await overflow()).toBe(0);
  });

  test('can be used by keyboard alone', async () => {
    page.on('filechooser', (chooser) => chooser.setFiles(clip));
    await page.reload();
    for (const id of WAYS_IN) {
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.id')).toBe(id);
    }
    await page.keyboard.press('Enter');
    await done();
    await page.keyboard.press('Space');
    await vi.waitFor(async () => expect(await seconds('#blurred')).toBeGreaterThan(0));
  });
});

/** What the tests read of a media element; the project's type check knows no DOM. */
interface Media {
  readonly currentTime: number;
}

/** Drops a file on an element as a browser does, through a DataTransfer made in the page. */
async function dropFile(page: Page, selector: string, path: string): Promise<void> {
  const input = await page.evaluateHandle(`Object.assign(document.createElement('input'), { type: 'file' })`);
  await input.asElement()!.setInputFiles(path);
  const dataTransfer = await input.evaluateHandle((element) => {
    const scope = globalThis as unknown as { DataTransfer: new () => { items: { add(file: unknown): void } } };
    const made = new scope.DataTransfer();
    made.items.add((element as unknown as { files: unknown[] }).files[0]);
    return made;
  });
  await page.dispatchEvent(selector, 'dragover', { dataTransfer });
  await page.dispatchEvent(selector, 'drop', { dataTransfer });
}
