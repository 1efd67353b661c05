import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import {
  dim,
  drawPillars,
  EFFECTS,
  type Effect,
  Exposure,
  lightAt,
  pillarsAt,
  shutterMoments,
  unhidden,
} from './clip-effect.ts';
import { type Box, boxesInView, MOTIONS, type Motion, type Truth, viewAt } from './clip-motion.ts';
import { type ClipCodec, ClipWriter } from './clip-writer.ts';
import { readPhoto, ViewSampler } from './photo-planes.ts';

export interface MakeClipOptions {
  /** A file's path, or the bytes of an image file. */
  photo: string | Uint8Array;
  /** The faces of the photo. */
  boxes: readonly Box[];
  /** `.mp4`, `.mkv`, `.mov` (H.264 and AAC) or `.webm` (VP8 or VP9 and Opus). */
  output: string;
  /** Where to write the truth as JSON, if anywhere. */
  truth?: string;
  /** Default `pan`. */
  motion?: Motion;
  /** What else happens to the picture; default nothing. */
  effect?: Effect;
  /** Default 1280. */
  width?: number;
  /** Default 720. */
  height?: number;
  /** Default 30. */
  fps?: number;
  /** Default 6. */
  seconds?: number;
  /** Varies where a motion starts; default 1. */
  seed?: number;
  /** Defaults to VP8 in WebM and H.264 elsewhere. */
  codec?: ClipCodec;
}

/** Changes with anything that changes the pictures or the truth of clips: part of the key that clips are kept under. */
export const CLIP_VERSION = 1;

/**
 * Turns a photo with face boxes into a moving clip whose every face box is known in every frame: a face that is half
 * hidden is still there, one that is hidden more is not. With an open shutter it is where it is in the middle of it.
 * @returns the truth, also written to `options.truth` where that is given
 */
export async function makeClip(options: MakeClipOptions): Promise<Truth> {
  const { width = 1280, height = 720, fps = 30, seconds = 6, motion = 'pan', seed = 1, effect } = options;
  const photo = await readPhoto(options.photo);
  const camera = { photoWidth: photo.width, photoHeight: photo.height, width, height, seconds, motion, seed };
  const sampler = new ViewSampler(photo, width, height);
  const writer = await ClipWriter.create({ output: options.output, width, height, fps, seconds, codec: options.codec });
  const exposure = effect === 'motion-blur' ? new Exposure(writer.planes) : null;
  const truth: Truth = { width, height, fps, frames: [] };
  try {
    for (let n = 0; n < Math.round(seconds * fps); n++) {
      const t = n / fps;
      for (const moment of exposure ? shutterMoments(t, fps) : [t]) {
        sampler.draw(viewAt(camera, moment), writer.planes, writer.strides);
        exposure?.add(writer.planes);
      }
      exposure?.develop(writer.planes);
      const boxes = boxesInView(options.boxes, viewAt(camera, t), width, height);
      const pillars = effect === 'occlusion' ? pillarsAt(t, width, seed) : [];
      drawPillars(pillars, writer.planes, writer.strides, { width, height });
      if (effect === 'light') dim(lightAt(t, seconds), writer.planes);
      truth.frames.push(unhidden(boxes, pillars));
      await writer.write();
    }
  } finally {
    await writer.close();
  }
  if (options.truth) writeFileSync(options.truth, JSON.stringify(truth));
  return truth;
}

/** Faces summed over the frames that show them. */
export function faceFrames(truth: Truth): number {
  return truth.frames.reduce((sum, boxes) => sum + boxes.length, 0);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      w: { type: 'string', default: '1280' },
      h: { type: 'string', default: '720' },
      fps: { type: 'string', default: '30' },
      seconds: { type: 'string', default: '6' },
      motion: { type: 'string', default: 'pan' },
      effect: { type: 'string' },
      seed: { type: 'string', default: '1' },
      codec: { type: 'string' },
    },
  });
  const [photo, boxes, output, truth] = positionals;
  const motion = MOTIONS.find((name) => name === values.motion);
  const effect = EFFECTS.find((name) => name === values.effect);
  if (!photo || !boxes || !output || !truth || !motion || values.effect !== effect) {
    throw new Error(
      'usage: node bench/make-clip.ts photo.jpg boxes.json out.mp4|out.webm truth.json ' +
        `[--w 1280 --h 720 --fps 30 --seconds 6 --motion ${MOTIONS.join('|')} --effect ${EFFECTS.join('|')} --seed 1 --codec h264|vp8|vp9]`,
    );
  }
  Log.setLevel(AV_LOG_ERROR);
  const made = await makeClip({
    photo,
    boxes: JSON.parse(readFileSync(boxes, 'utf8')),
    output,
    truth,
    motion,
    effect,
    width: Number(values.w),
    height: Number(values.h),
    fps: Number(values.fps),
    seconds: Number(values.seconds),
    seed: Number(values.seed),
    codec: values.codec as ClipCodec | undefined,
  });
  console.log(output, made.frames.length, 'frames', faceFrames(made), 'face-frames');
}

if (import.meta.main) await main();
