import { execFile } from 'node:child_process';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { canRunLivePage, heard, iceUsers, keptStream, LivePageRig, PATIENCE, screenSays } from './live-page-rig.ts';
import type { PlayedFigures } from './played-picture.ts';

/**
 * The clip is coded three times on its way (MJPEG, VP8, and VP8 again when blurred), at bitrates of live video: seen are
 * 25 to 29. A picture that is covered whole, at 40 by 22 cells, has 18.
 */
const MIN_PSNR_OUTSIDE_DB = 23;
/** Pictures read off the player: several seconds of them. */
const PICTURES = 25;
/** So many of them are different ones of the clip, at least: the picture moves. */
const MIN_DIFFERENT = 8;
/** Of the faces on the sender's own screen, most can be read: else the measure would prove nothing of the viewers'. */
const MIN_LEGIBLE_PART = 0.9;
const PHONE = { width: 360, height: 740 };

describe.skipIf(!canRunLivePage)('live half of the start page in Chromium', () => {
  let rig: LivePageRig;
  let page: Page;

  beforeAll(async () => {
    rig = await LivePageRig.create();
  }, 60_000);
  afterAll(() => rig?.close());
  beforeEach(async () => {
    rig.problems.length = 0;
    page = await rig.open();
  });
  afterEach(async () => {
    // Leaves no stream that goes on sending.
    if (await page.locator('#live-delete').isVisible()) await page.click('#live-delete');
    await page.context().close();
  });

  const says = (screen: string, label: string, on = page) => screenSays(on, screen, label);
  const live = () => says('#watched', 'Live');
  const stored = () => keptStream(page);
  const streamNow = () => rig.streamOf(page);
  const measure = (screen: string, on = page) => rig.played.measure(on, `${screen} video`, PICTURES);
  const chooseFile = async (selector: string) => {
    // Through the dialog: a page may play sound only for a person who did something.
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.locator(selector).press('Enter')]);
    await chooser.setFiles(rig.clip.path);
  };
  const covered = ({ faces, legible, psnrOutsideDb, pictures }: PlayedFigures) => {
    expect(faces).toBeGreaterThan(PICTURES);
    expect(legible).toBe(0);
    expect(psnrOutsideDb).toBeGreaterThan(MIN_PSNR_OUTSIDE_DB);
    expect(pictures).toBeGreaterThanOrEqual(MIN_DIFFERENT);
  };
  const soundHeard = async () => {
    const before = await heard(page);
    await vi.waitFor(async () => {
      const now = await heard(page);
      expect(now.bytes).toBeGreaterThan(before.bytes);
      expect(now.energy).toBeGreaterThan(before.energy);
    }, PATIENCE);
  };

  test('a camera’s faces are covered in what the page plays, the rest and the sound are kept, and Stop ends it', async () => {
    await page.click('#live-camera');
    await live();
    await says('#sent', 'Sending');
    expect(await page.locator('#sent-badge').textContent()).toBe('Only on your screen');
    await vi.waitFor(async () => expect(await page.textContent('#live-figures')).toContain('640×360'), PATIENCE);

    covered(await measure('#watched'));
    const own = await measure('#sent');
    expect(own.legible / own.faces).toBeGreaterThan(MIN_LEGIBLE_PART);
    expect(await page.evaluate(`document.querySelector('#sent video').muted`)).toBe(true);
    await page.click('#live-sound');
    await soundHeard();
    expect((await streamNow()).stats).toMatchObject({ width: 640, height: 360, viewers: 1 });

    await page.click('#live-stop');
    await says('#sent', 'Stopped');
    await says('#watched', 'Waiting');
    expect(await streamNow()).toMatchObject({
      state: expect.stringMatching(/draining|idle/),
      reason: /publisher left/,
    });
    expect(await page.evaluate(`document.querySelector('#sent video').srcObject`)).toBeNull();
    expect(rig.problems).toEqual([]);
  });

  test('a video file is sent in a loop, with its sound', async () => {
    await chooseFile('#live-file');
    await live();
    await page.click('#live-sound');
    await soundHeard();
    const seconds = () => page.evaluate(`document.querySelector('#watched video').currentTime`);
    const clipSeconds = rig.clip.truth.frames.length / rig.clip.truth.fps;
    await vi.waitFor(async () => expect(await seconds()).toBeGreaterThan(2 * clipSeconds), PATIENCE);
    covered(await measure('#watched'));
    expect(rig.problems).toEqual([]);
  });

  test('controls change how faces are covered while viewers go on watching', async () => {
    await page.click('#live-camera');
    await live();
    const connections = await page.evaluate('peers.length');
    await page.locator('#blur-strength').fill('1');
    await page.locator('#blur-margin').fill('0.8');
    await page.locator('#blur-lookahead').fill('0');
    await vi.waitFor(async () => {
      expect((await streamNow()).policy).toMatchObject({ strength: 1, margin: 0.8, lookaheadFrames: 0 });
    }, PATIENCE);
    expect((await measure('#watched')).legible).toBe(0);
    for (const style of ['gaussian', 'solid']) {
      await page.selectOption('#blur-style', style);
      await vi.waitFor(async () => expect((await streamNow()).policy).toMatchObject({ style, strength: 1 }), PATIENCE);
      expect((await measure('#watched')).legible).toBe(0);
    }
    expect(await page.isDisabled('#blur-strength')).toBe(true);
    expect(await page.textContent('#watched .screen-chip')).toBe('Live');
    expect(await page.evaluate('peers.length')).toBe(connections);
  });

  test('the key is masked until asked for, copied in full, and kept out of addresses', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.click('#live-encoder');
    const { key } = await vi.waitFor(async () => (await stored()) ?? expect.fail(), PATIENCE);
    expect(await page.content()).not.toContain(key);
    await page.click('[aria-label="Copy: OBS Studio, Stream key"]');
    await vi.waitFor(async () => {
      expect(await page.evaluate('navigator.clipboard.readText()')).toBe(`${(await stored()).id}?key=${key}`);
    });
    await page.click('#live-reveal');
    expect(await page.content()).toContain(key);
    await page.click('#live-reveal');
    expect(await page.content()).not.toContain(key);
    expect([...asked, page.url()].filter((url) => url.includes(key))).toEqual([]);
    expect(await page.evaluate('localStorage.length')).toBe(0);
  });

  test('the copied ffmpeg line publishes, and the page shows it blurred', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.click('#live-encoder');
    await page.locator('summary', { hasText: /^ffmpeg$/ }).click();
    await page.click('[aria-label="Copy: ffmpeg, Command"]');
    const line = (await page.evaluate('navigator.clipboard.readText()')) as string;
    // The clip is short: it is played on and on until the test has seen enough.
    const running = execFile('sh', ['-c', line.replace('ffmpeg -re', 'exec ffmpeg -v error -stream_loop -1 -re')], {
      cwd: rig.folder,
    });
    const ended = new Promise((resolve) => running.once('close', resolve));
    try {
      await live();
      await says('#sent', 'Another program sends');
      covered(await measure('#watched'));
    } finally {
      running.kill('SIGKILL');
      await ended;
    }
    await says('#watched', 'Waiting');
  });

  test('a reload goes on with the same stream', async () => {
    await page.click('#live-camera');
    await live();
    const before = await stored();
    await page.reload();
    await says('#watched', 'Waiting');
    expect(await stored()).toEqual(before);
    // The page said goodbye as it was left: nobody waits for a connection to time out.
    expect((await streamNow()).reason).toBe('the publisher left');
    expect(await page.textContent('#live-name')).toBe(before.id);
    await page.click('#again-camera');
    await live();
  });

  test('a path that is lost is made anew by ICE restarts, in the same sessions', async () => {
    await page.click('#live-camera');
    await live();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.method()));
    const before = await iceUsers(page);
    // No path can be cut on loopback: each connection is made to say that its own failed, once.
    await page.evaluate(`for (const peer of peers) {
      Object.defineProperty(peer, 'connectionState', { get: () => 'failed', configurable: true });
      peer.dispatchEvent(new Event('connectionstatechange'));
      delete peer.connectionState;
    }`);
    await vi.waitFor(async () => {
      const now = await iceUsers(page);
      expect(now).toHaveLength(2);
      for (const user of now) expect(before).not.toContain(user);
    }, PATIENCE);
    await says('#sent', 'Sending');
    await live();
    expect(asked).toEqual(['PATCH', 'PATCH']);
    covered(await measure('#watched'));
  });

  test('a second sender takes over, and the first is told', async () => {
    await page.click('#live-camera');
    await live();
    const kept = JSON.stringify(await stored());
    const other = await rig.open();
    await other.evaluate(`sessionStorage.setItem('faceblur-live-stream', ${JSON.stringify(kept)})`);
    await other.reload();
    await other.click('#again-camera');
    await says('#sent', 'Sending', other);
    await says('#sent', 'Stopped');
    expect(await page.textContent('#sent .screen-cover-text')).toMatch(/Another program is sending/);
    await live();
    await other.context().close();
  });

  test('a server that is started again finds its sender and its viewer back by themselves', async () => {
    await page.click('#live-camera');
    await live();
    const { id } = await stored();
    await rig.restartServer(() => says('#sent', 'Reconnecting'));
    await says('#sent', 'Sending');
    await live();
    expect((await stored()).id).toBe(id);
    covered(await measure('#watched'));
  });

  test('the watch link shows the stream, and says when it is over', async () => {
    await page.click('#live-camera');
    await live();
    const watch = await page.context().newPage();
    const link = (await page.locator('#live-recipes a').getAttribute('href'))!;
    expect(new URL(link).pathname).toBe(`/embed/${(await stored()).id}`);
    await watch.goto(link);
    await says('#watched', 'Live', watch);
    covered(await measure('#watched', watch));
    await page.click('#live-stop');
    await says('#watched', 'Waiting', watch);
    await page.click('#live-delete');
    await says('#watched', 'Not shown', watch);
    expect(await watch.textContent('.screen-cover-text')).toMatch(/no such stream/);
    await page.locator('#empty').waitFor();
  });

  test('fits a phone: nothing reaches past its sides', async () => {
    await page.setViewportSize(PHONE);
    await page.click('#live-camera');
    await live();
    await vi.waitFor(async () => expect(await page.textContent('#live-figures')).toContain('Viewers'), PATIENCE);
    await page.locator('summary', { hasText: 'GStreamer' }).click();
    await page.click('#live-reveal');
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBe(0);
  });

  test.each([
    ['there is none', [], /No camera was found\. .*play a video file/],
    ['it is refused', ['--use-fake-device-for-media-stream'], /not allowed to use the camera\. .*play a video file/],
  ])('a page without a camera because %s says what to do next', async (_why, args, words) => {
    const bare = await LivePageRig.launch(...args);
    try {
      const there = await rig.open(bare);
      await there.click('#live-camera');
      await there.locator('#sent .screen-cover-text', { hasText: words }).waitFor(PATIENCE);
      await there.click('#live-delete');
      await there.locator('#empty').waitFor();
      expect(rig.problems).toEqual([]);
    } finally {
      await bare.close();
    }
  });
});
