import { expect } from 'vitest';
import { type BlurFileOptions, type BlurFileResult, blurFile } from '../../../inference/blur-file.ts';
import { type Report, readReport, reportedBoxes } from '../../clips/report.ts';
import { type DecodedClip, decodeClip, flashes, type PictureTags, readPictureTags } from './decoded-clip.ts';
import { rgbDifference } from './rgb-difference.ts';

/** What the engine says where YuNet can't be had. */
const FALLBACK = 'Using ssd-mobilenet-v1 instead';

/** Ends of frames and sounds are written in ticks of a millisecond at the coarsest, rounded twice. */
const TICK_SECONDS = 0.0015;
/** The asked-for lip-sync. */
const MAX_SYNC_SECONDS = 0.02;
/** The end of what is heard, where codecs whose packets are this long have to fill the last one. */
const MAX_SOUND_END_SECONDS = 0.05;
/** A player's RGB of a picture coded anew; 4:2:0 and RGB of one byte take their part. */
const MIN_PSNR_DB = 35;
/** Levels of 255; a wrong range or matrix shifts a channel by more. */
const MAX_MEAN_SHIFT = 1.5;
/** Of a face and its cover. */
const MAX_COVERED_PSNR_DB = 26;
/** The part of the picture that no mask is near. */
const MIN_COMPARED = 0.3;

export interface Comparison {
  readonly result: BlurFileResult;
  readonly report: Report;
  /** But for the one that the detector is not the best one: that is the machine's, not the file's. */
  readonly warnings: readonly string[];
  readonly source: DecodedClip;
  readonly output: DecodedClip;
  readonly tags: PictureTags;
  readonly boxesIn: (frame: number) => ReturnType<typeof reportedBoxes>;
}

/**
 * Blurs a clip and decodes both.
 * @param sourceFilters what makes the source's pictures comparable, e.g. deinterlaces them
 */
export async function blurClip(
  input: string,
  output: string,
  options: Partial<BlurFileOptions> = {},
  sourceFilters?: string,
): Promise<Comparison> {
  const warnings: string[] = [];
  const reportPath = `${output}.json`;
  const hooks = {
    onWarning(message: string) {
      if (!message.includes(FALLBACK)) warnings.push(message);
    },
  };
  const result = await blurFile({ ...options, input, output, report: reportPath }, hooks);
  const report = readReport(reportPath);
  const [source, decoded] = await Promise.all([decodeClip(input, sourceFilters), decodeClip(output)]);
  const tags = await readPictureTags(output);
  const boxesIn = (frame: number) => reportedBoxes(report, frame);
  return { result, report, warnings, source, output: decoded, tags, boxesIn };
}

/** Every picture is there, in its time, to within a tick; the output begins where the first of its tracks does, at 0. */
export function expectSameTimes({ result, source, output }: Comparison): void {
  expect(output.pictures).toHaveLength(source.pictures.length);
  expect(output.seconds).toHaveLength(source.seconds.length);
  expect(result.frames).toBe(source.pictures.length);
  const [from, to] = [source.seconds[0]!, output.seconds[0]!];
  for (const [n, seconds] of source.seconds.entries()) {
    expect(Math.abs(output.seconds[n]! - to - (seconds - from)), `picture ${n}`).toBeLessThanOrEqual(TICK_SECONDS);
  }
  const frame = (source.endSeconds - from) / source.seconds.length;
  expect(Math.abs(output.endSeconds - to - (source.endSeconds - from))).toBeLessThanOrEqual(frame);
}

/** The tone comes with the flash, each time, in every track of sound. */
export function expectInSync({ source, output }: Comparison): void {
  expect(output.sound).toHaveLength(source.sound.length);
  const seen = flashes(output);
  expect(seen).toHaveLength(flashes(source).length);
  expect(seen[0]).toBeGreaterThan(0);
  for (const [track, { tones }] of output.sound.entries()) {
    expect(tones).toHaveLength(seen.length);
    for (const [n, tone] of tones.entries()) {
      expect(Math.abs(tone - seen[n]!), `sync of track ${track}`).toBeLessThanOrEqual(MAX_SYNC_SECONDS);
    }
  }
}

/** Nothing of the sound is lost at its end. */
export function expectSameEnd({ source, output }: Comparison): void {
  for (const [track, { endSeconds }] of output.sound.entries()) {
    const shift = endSeconds - flashes(output)[0]! - (source.sound[track]!.endSeconds - flashes(source)[0]!);
    expect(Math.abs(shift), `end of track ${track}`).toBeLessThanOrEqual(MAX_SOUND_END_SECONDS);
  }
}

/** Faces are covered, and all else looks as in the source. */
export function expectSameColours({ result, source, output, boxesIn }: Comparison, minPsnrDb = MIN_PSNR_DB): void {
  expect(result.faces).toBeGreaterThanOrEqual(3);
  expect(result.coveredWhole).toBe(0);
  const { psnrDb, coveredPsnrDb, meanShift, compared } = rgbDifference(source, output, boxesIn);
  expect(compared).toBeGreaterThan(MIN_COMPARED);
  expect(psnrDb).toBeGreaterThan(minPsnrDb);
  expect(coveredPsnrDb).toBeLessThan(MAX_COVERED_PSNR_DB);
  for (const shift of meanShift) expect(Math.abs(shift)).toBeLessThan(MAX_MEAN_SHIFT);
}

/** All of it. */
export function expectSame(comparison: Comparison, minPsnrDb?: number): void {
  expectSameTimes(comparison);
  expectInSync(comparison);
  expectSameEnd(comparison);
  expectSameColours(comparison, minPsnrDb);
}
