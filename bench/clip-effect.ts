import type { TruthBox } from './clip-motion.ts';

/**
 * What happens to the picture on top of the camera's motion: pillars pass in front of everybody, the shutter stays open
 * for half of each frame, the light swells and is switched.
 */
export type Effect = 'occlusion' | 'motion-blur' | 'light';

export const EFFECTS: readonly Effect[] = ['occlusion', 'motion-blur', 'light'];

/** Half a face behind a pillar is still somebody's; with less of it in sight it is not counted. */
const MIN_UNHIDDEN_PART = 0.5;
const PILLARS = 3;
/** Parts of the picture's width: how wide a pillar is, and how far it gets in a second. */
const PILLAR_WIDTH = 0.1;
const PILLAR_SPEED = 1 / 3;
/** Luma at a pillar's edges and in its middle: round, and without detail that could pass for a face's. */
const PILLAR_EDGE = 60;
const PILLAR_MIDDLE = 130;
/** Views averaged into one frame of an open shutter. */
const SHUTTER_SAMPLES = 6;
/** The part of a frame's time for which the shutter is open: 180 degrees of a film camera's. */
const SHUTTER_OPEN = 0.5;
/** The light swells this often in the first half of a clip, and is switched this often in the second. Seconds. */
const SWELL_SECONDS = 3;
const SWITCH_SECONDS = 0.75;
const DIMMED = 0.35;
/** Black and the middle of chroma in limited range. */
const BLACK = 16;
const NEUTRAL = 128;

/** Where the pillars stand at `t` seconds: left edge and width in pixels. */
export function pillarsAt(t: number, width: number, seed: number): [left: number, width: number][] {
  const side = PILLAR_WIDTH * width;
  return Array.from({ length: PILLARS }, (_, i) => {
    const part = (t * PILLAR_SPEED + i / PILLARS + 0.17 * seed) % 1;
    return [part * (width + side) - side, side];
  });
}

/** Leaves out the faces of which less than half is in sight beside the pillars. */
export function unhidden(boxes: readonly TruthBox[], pillars: readonly [number, number][]): TruthBox[] {
  return boxes.filter(([, x, , w]) => {
    const hidden = pillars.reduce(
      (sum, [left, side]) => sum + Math.max(0, Math.min(x + w, left + side) - Math.max(x, left)),
      0,
    );
    return hidden <= (1 - MIN_UNHIDDEN_PART) * w;
  });
}

/** Draws pillars from top to bottom over full-size planes. */
export function drawPillars(
  pillars: readonly [number, number][],
  planes: readonly Uint8Array[],
  strides: readonly number[],
  { width, height }: { width: number; height: number },
): void {
  for (const [left, side] of pillars) {
    const from = Math.max(0, Math.round(left));
    const to = Math.min(width, Math.round(left + side));
    for (let x = from; x < to; x++) {
      const across = (x - left) / side;
      const luma = PILLAR_EDGE + (PILLAR_MIDDLE - PILLAR_EDGE) * Math.sin(Math.PI * Math.min(1, Math.max(0, across)));
      for (let y = 0; y < height; y++) {
        planes[0]![y * strides[0]! + x] = luma;
        planes[1]![y * strides[1]! + x] = NEUTRAL;
        planes[2]![y * strides[2]! + x] = NEUTRAL;
      }
    }
  }
}

/** How bright the light is at `t` of `seconds`: 1 as in the photo, less when dimmed. */
export function lightAt(t: number, seconds: number): number {
  if (t < seconds / 2) return 1 - (1 - DIMMED) * (0.5 - 0.5 * Math.cos((2 * Math.PI * t) / SWELL_SECONDS));
  return Math.floor(t / SWITCH_SECONDS) % 2 === 0 ? 1 : DIMMED;
}

/** Dims full-size limited-range planes in place. */
export function dim(gain: number, planes: readonly Uint8Array[]): void {
  if (gain === 1) return;
  for (const [index, plane] of planes.entries()) {
    const zero = index === 0 ? BLACK : NEUTRAL;
    const table = Uint8Array.from({ length: 256 }, (_, value) => Math.max(0, Math.round(zero + (value - zero) * gain)));
    for (let i = 0; i < plane.length; i++) plane[i] = table[plane[i]!]!;
  }
}

/** The moments that one frame of an open shutter sees, about the middle of it. */
export function shutterMoments(t: number, fps: number): number[] {
  return Array.from(
    { length: SHUTTER_SAMPLES },
    (_, i) => t + (((i + 0.5) / SHUTTER_SAMPLES - 0.5) * SHUTTER_OPEN) / fps,
  );
}

/** Averages pictures that are drawn into the same planes one after the other. */
export class Exposure {
  readonly #sums: Uint16Array[];
  #count = 0;

  constructor(planes: readonly Uint8Array[]) {
    this.#sums = planes.map((plane) => new Uint16Array(plane.length));
  }

  add(planes: readonly Uint8Array[]): void {
    for (const [index, sum] of this.#sums.entries()) {
      const plane = planes[index]!;
      for (let i = 0; i < sum.length; i++) sum[i]! += plane[i]!;
    }
    this.#count++;
  }

  /** Writes the average into the planes and starts anew. */
  develop(planes: readonly Uint8Array[]): void {
    for (const [index, sum] of this.#sums.entries()) {
      const plane = planes[index]!;
      for (let i = 0; i < sum.length; i++) plane[i] = (sum[i]! + this.#count / 2) / this.#count;
      sum.fill(0);
    }
    this.#count = 0;
  }
}
