import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Decoder, Demuxer, Encoder, FilterAPI, Log, Muxer } from 'node-av';
import { AV_LOG_ERROR, FF_ENCODER_LIBX264 } from 'node-av/constants';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Box, Motion } from '../../bench/clip-motion.ts';
import { hasTestdata, photoBoxes, TESTDATA_FOLDER } from '../../bench/clips.ts';
import { measureLeaks } from '../../bench/leak-measure.ts';
import { type MakeClipOptions, makeClip } from '../../bench/make-clip.ts';

const TOOLS = join(TESTDATA_FOLDER, '..', 'tools');
const PHOTO = 'detect/group/linzaer_16.jpg';
const SMALL = { width: 640, height: 360, seconds: 1 };

/** Both measures read the same pictures; a face on the very threshold may still fall differently in 32-bit sums. */
const LEAK_TOLERANCE_PER_1000 = 5;
/** Two decoders of different FFmpeg versions may round a grey value differently where they scale. */
const DIFFERENCE_TOLERANCE = 0.05;

const run = promisify(execFile);
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0 && spawnSync('ffprobe', ['-version']).status === 0;
const hasReference = hasFfmpeg && hasTestdata() && existsSync(join(TOOLS, 'leakcheck.mjs'));

let folder: string;

beforeAll(() => {
  Log.setLevel(AV_LOG_ERROR);
  folder = mkdtempSync(join(tmpdir(), 'faceblur-bench-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A copy of a clip, run through a filter. */
async function filterClip(input: string, output: string, filters: string): Promise<void> {
  await using demuxer = await Demuxer.open(input);
  const stream = demuxer.video()!;
  using decoder = await Decoder.create(stream);
  using filter = FilterAPI.create(filters);
  using encoder = await Encoder.create(FF_ENCODER_LIBX264, {
    decoder,
    filter,
    options: { preset: 'ultrafast', crf: 18 },
  });
  await using muxer = await Muxer.open(output);
  const index = muxer.addStream(encoder);
  for await (const packet of encoder.packets(filter.frames(decoder.frames(demuxer.packets(stream.index))))) {
    await muxer.writePacket(packet, index);
    packet?.free();
  }
}

describe.skipIf(!hasReference)('against the reference tools (needs ../shared and ffmpeg)', () => {
  const photo = join(TESTDATA_FOLDER, PHOTO);
  const photoClip = (options: Partial<MakeClipOptions>) =>
    makeClip({ photo, boxes: photoBoxes(PHOTO), output: join(folder, 'photo.mp4'), ...SMALL, ...options });

  test.each<Motion>(['pan', 'zoom', 'shake', 'cut'])('a %s clip has the truth of the reference', async (motion) => {
    const boxesFile = join(folder, `boxes-${motion}.json`);
    const referenceTruth = join(folder, `reference-${motion}.json`);
    writeFileSync(boxesFile, JSON.stringify(photoBoxes(PHOTO)));
    const size = ['--w', '320', '--h', '180', '--fps', '10', '--seconds', '3', '--motion', motion, '--seed', '3'];
    const files = [photo, boxesFile, join(folder, `reference-${motion}.mp4`), referenceTruth];
    await run(process.execPath, [join(TOOLS, 'makeclip.mjs'), ...files, ...size]);
    const output = join(folder, `own-${motion}.mp4`);
    const truth = await photoClip({ output, motion, seed: 3, width: 320, height: 180, fps: 10, seconds: 3 });
    expect(truth).toEqual(JSON.parse(readFileSync(referenceTruth, 'utf8')));
  });

  test('a partly blurred clip leaks as much as the reference finds', async () => {
    const source = join(folder, 'photo.mp4');
    const output = join(folder, 'photo-blurred.mp4');
    const truth = join(folder, 'photo.json');
    const kept = 8;
    await photoClip({ truth });
    await filterClip(source, output, "avgblur=sizeX=9:enable='lt(t,0.5)',scale=480:270");
    const command = [join(TOOLS, 'leakcheck.mjs'), source, output, truth, '--keep', String(kept)];
    const reference = JSON.parse((await run(process.execPath, command)).stdout);
    const own = await measureLeaks({ source, output, truth, keep: [kept] });
    expect(own.leaked).toBeGreaterThan(0);
    expect(own.leaked).toBeLessThan(own.faceFrames);
    expect(own.frames).toBe(reference.frames);
    expect(own.faceFrames).toBe(reference.faceFrames);
    expect(Math.abs(own.leakedPer1000 - reference.leakedPer1000)).toBeLessThanOrEqual(LEAK_TOLERANCE_PER_1000);
    expect(own.keptVisible).toBeCloseTo(reference.keptVisible, 2);
    const difference = Math.abs(own.outsideMeanAbsDiff - reference.outsideMeanAbsDiff);
    expect(difference).toBeLessThanOrEqual(DIFFERENCE_TOLERANCE);
  });
});

describe('on a drawing', () => {
  /** Two heads with eyes and a mouth, on a patterned ground: enough detail to be legible, and nobody's face. */
  const HEADS: Box[] = [
    [140, 80, 120, 150],
    [380, 120, 110, 140],
  ];

  function drawing(): Promise<Buffer> {
    const heads = HEADS.map(([x, y, w, h]) => {
      const [centreX, centreY] = [x + w / 2, y + h / 2];
      const eye = (side: number) =>
        `<circle cx="${centreX + side * w * 0.2}" cy="${centreY - h * 0.12}" r="${w * 0.07}"/>`;
      const mouth = `<path d="M${centreX - w * 0.2} ${centreY + h * 0.2} q${w * 0.2} ${h * 0.15} ${w * 0.4} 0 z"/>`;
      return `<ellipse cx="${centreX}" cy="${centreY}" rx="${w / 2}" ry="${h / 2}" fill="#dbb"/>${eye(-1)}${eye(1)}${mouth}`;
    });
    const stripes = Array.from({ length: 20 }, (_, i) => `<rect x="${i * 32}" width="12" height="360" fill="#4a6"/>`);
    const body = `<rect width="640" height="360" fill="#9bd"/>${stripes.join('')}${heads.join('')}`;
    return sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360">${body}</svg>`))
      .png()
      .toBuffer();
  }

  function grey(): Promise<Buffer> {
    return sharp({ create: { width: 640, height: 360, channels: 3, background: '#808080' } })
      .png()
      .toBuffer();
  }

  test('every face leaks from a clip that was not blurred, and none from a grey one', async () => {
    const source = join(folder, 'drawing.mp4');
    const empty = join(folder, 'grey.mp4');
    const options = { ...SMALL, motion: 'shake' } as const;
    const truth = await makeClip({ photo: await drawing(), boxes: HEADS, output: source, ...options });
    await makeClip({ photo: await grey(), boxes: [], output: empty, ...options });

    const same = await measureLeaks({ source, output: source, truth });
    expect(same.faceFrames).toBe(2 * truth.frames.length);
    expect(same).toMatchObject({ frames: 30, leakedPer1000: 1000, outsideMeanAbsDiff: 0, frameCountsDiffer: false });

    const covered = await measureLeaks({ source, output: empty, truth });
    expect(covered).toMatchObject({ frames: 30, leaked: 0, faceFrames: same.faceFrames, frameCountsDiffer: false });
    expect(covered.psnrOutsideDb).toBeLessThan(same.psnrOutsideDb!);
  });

  test('a WebM clip shows the same pictures, and a shorter output is noticed', async () => {
    const source = join(folder, 'long.mp4');
    const output = join(folder, 'short.webm');
    const photo = await drawing();
    const truth = await makeClip({ photo, boxes: HEADS, output: source, ...SMALL });
    await makeClip({ photo, boxes: HEADS, output, ...SMALL, motion: 'shake', seconds: 0.5 });
    expect((await measureLeaks({ source, output, truth })).frameCountsDiffer).toBe(true);

    const whole = join(folder, 'whole.webm');
    await makeClip({ photo, boxes: HEADS, output: whole, ...SMALL });
    const figures = await measureLeaks({ source, output: whole, truth });
    expect(figures).toMatchObject({ leakedPer1000: 1000, frameCountsDiffer: false });
    expect(figures.psnrOutsideDb).toBeGreaterThan(30);
  });
});
