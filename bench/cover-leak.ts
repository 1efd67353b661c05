import { coverPlane } from '../inference/blur/cover-plane.ts';
import type { Region } from '../inference/blur/region.ts';
import type { Box } from '../inference/track/box.ts';
import {
  type Band,
  type BandDetail,
  bestGains,
  COARSE_BAND,
  FaceBand,
  READING_BAND,
  type RingSums,
} from './face-band.ts';
import { FaceLegibility } from './face-legibility.ts';
import type { FaceSample } from './face-samples.ts';

/** The attacker has this many by this many frames, on each of which the mask sits a part of a cell further. */
const PHASES = 7;
/** A camera's noise, standard deviation in grey values: without it, rounding would hide more than it does in a video. */
const NOISE = 2;

/** What one look gives away of one face. */
export interface FaceLeak {
  /** -1..1, in the band in which faces are read, between one covered frame and the source. */
  readonly correlation: number;
  /** The same for what the best linear attack on many frames makes of them. */
  readonly attacked: number;
  /** And for what it makes of someone else: what is alike in any two faces. */
  readonly chance: number;
  /** What the attack makes of it in the band below, where the shape of a head is. */
  readonly coarse: number;
  /** Whether the leak measure counts the face as legible, in one frame and in the mean of many. */
  readonly legible: boolean;
  readonly legibleMean: boolean;
}

/** What one face shows in one band, before and after. */
interface Shown {
  readonly band: FaceBand;
  readonly source: BandDetail;
  readonly frame: BandDetail;
  readonly mean: BandDetail;
}

/**
 * Covers each face as the engine would and tells what is left. The attacker knows where the face is, averages many
 * frames of it between which the mask moved by parts of a cell, and sharpens the mean by what was learnt from all other
 * faces: the Wiener filter, a gain for each frequency.
 * @param samples faces of one width
 * @param regionOf what covers a face
 */
export function coverLeaks(samples: readonly FaceSample[], regionOf: (face: Box) => Region): FaceLeak[] {
  const noise = cameraNoise();
  const pictures = samples.map((sample, index) => cover(sample, regionOf, noise.subarray(index)));
  const read = correlations(pictures, READING_BAND);
  const coarse = correlations(pictures, COARSE_BAND);
  return pictures.map((picture, index) => ({
    ...read[index]!,
    coarse: coarse[index]!.attacked,
    legible: isLegible(picture.sample, picture.frame),
    legibleMean: isLegible(picture.sample, Uint8Array.from(picture.mean, Math.round)),
  }));
}

interface CoveredSample {
  readonly sample: FaceSample;
  /** The luma of one covered frame, and the mean of many. */
  readonly frame: Uint8Array;
  readonly mean: Float64Array;
}

function cover(sample: FaceSample, regionOf: (face: Box) => Region, noise: Float64Array): CoveredSample {
  const { luma, width, height, left, top, faceWidth, faceHeight } = sample;
  const region = regionOf({ x: left, y: top, w: faceWidth, h: faceHeight });
  const frame = luma.slice();
  coverPlane({ data: frame, stride: width, width, height }, region, 1);
  return { sample, frame, mean: meanOfMany(sample, region, noise) };
}

function correlations(pictures: readonly CoveredSample[], wanted: Band) {
  const shown: Shown[] = pictures.map(({ sample, frame, mean }) => {
    const { luma, width, left, top, faceWidth, faceHeight } = sample;
    const band = new FaceBand(faceWidth, faceHeight, wanted);
    const detail = (picture: ArrayLike<number>) => band.detailOf(picture, width, left, top);
    return { band, source: detail(luma), frame: detail(frame), mean: detail(mean) };
  });
  const sums = ringSums(shown[0]?.band.rings ?? 0);
  for (const { band, source, mean } of shown) band.addRings(source, mean, sums);
  return shown.map(({ band, source, frame, mean }, index) => {
    // Nobody learns from the face that is attacked.
    band.addRings(source, mean, sums, -1);
    const gains = bestGains(sums);
    band.addRings(source, mean, sums);
    const stranger = shown[(index + 1) % shown.length]!;
    return {
      correlation: band.correlation(source, frame),
      attacked: band.correlation(source, mean, gains),
      chance: band.correlation(source, stranger.mean, gains),
    };
  });
}

function isLegible({ luma, width, height, left, top, faceWidth, faceHeight }: FaceSample, output: Uint8Array): boolean {
  const compared = new FaceLegibility(width, height).compare(luma, output, [0, left, top, faceWidth, faceHeight]);
  return compared?.legible ?? false;
}

function meanOfMany({ luma, width, height }: FaceSample, region: Region, noise: Float64Array): Float64Array {
  const { look } = region;
  const cell = look.style === 'mosaic' ? look.cellPx : look.style === 'gaussian' ? look.sigmaPx : 0;
  let at = 0;
  const mean = new Float64Array(luma.length);
  const frame = new Uint8ClampedArray(luma.length);
  const data = new Uint8Array(frame.buffer);
  for (let phase = 0; phase < PHASES * PHASES; phase++) {
    for (let i = 0; i < luma.length; i++) frame[i] = luma[i]! + noise[at++ % noise.length]!;
    const centreX = region.centreX + cell * (((phase % PHASES) + 0.5) / PHASES - 0.5);
    const centreY = region.centreY + cell * ((Math.floor(phase / PHASES) + 0.5) / PHASES - 0.5);
    coverPlane({ data, stride: width, width, height }, { ...region, centreX, centreY }, 1);
    for (let i = 0; i < luma.length; i++) mean[i]! += frame[i]! / (PHASES * PHASES);
  }
  return mean;
}

function ringSums(rings: number): RingSums {
  return { product: new Float64Array(rings), energy: new Float64Array(rings) };
}

/** Normally distributed values (Lehmer, then Box and Muller), always the same; no picture's size divides their number. */
function cameraNoise(): Float64Array {
  let state = 1;
  const uniform = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  return Float64Array.from(
    { length: 65_537 },
    () => NOISE * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
