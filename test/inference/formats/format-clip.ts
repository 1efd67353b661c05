import { existsSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { FOUR_PEOPLE } from '../../clips/face-photo.ts';
import { ffmpeg } from '../../clips/ffmpeg.ts';

export const WIDTH = 320;
export const HEIGHT = 180;
export const FPS = 25;
/** A white field lights up in a corner and a tone sounds, both from this moment on, for so long. */
export const SIGNAL_SECONDS = 0.6;
const SIGNAL_LENGTH_SECONDS = 0.2;
/** Where the field is, as shares of the picture: away from all faces. */
export const FIELD = { x: 0.05, y: 0.85, w: 0.2, h: 0.1 } as const;
const TONE_HZ = 1000;
/** The photo is this wide, and the clip's view moves over it by what it is wider. */
const PHOTO_WIDTH = 360;
const PAN_PX_A_SECOND = 12;

export interface FormatClipOptions {
  /** Default 1.2. */
  readonly seconds?: number;
  readonly fps?: number;
  /** Filters after those that draw the pictures: size, pixel format, fields, times. */
  readonly filters?: string;
  readonly audioFilters?: string;
  /** Options for the encoders and the muxer; the sound is left out where they say `-an`. */
  readonly options: readonly string[];
  /** Size of the picture as drawn. */
  readonly width?: number;
  readonly height?: number;
}

/** Makes a clip of four people, seen by a camera that pans, with a flash and a tone at the same moment. */
export async function makeFormatClip(folder: string, name: string, clip: FormatClipOptions): Promise<string> {
  const { seconds = 1.2, fps = FPS, filters = 'null', audioFilters = 'anull', width = WIDTH, height = HEIGHT } = clip;
  const photo = join(folder, 'people.png');
  if (!existsSync(photo)) await sharp(FOUR_PEOPLE.path).resize({ width: PHOTO_WIDTH }).toFile(photo);
  const scale = width / WIDTH;
  const view = `scale=${PHOTO_WIDTH * scale}:-2,crop=${width}:${height}:${PAN_PX_A_SECOND * scale}*t:${24 * scale}`;
  const isOn = `between(t\\,${SIGNAL_SECONDS}\\,${SIGNAL_SECONDS + SIGNAL_LENGTH_SECONDS - 0.001})`;
  const field = `x=iw*${FIELD.x}:y=ih*${FIELD.y}:w=iw*${FIELD.w}:h=ih*${FIELD.h}`;
  const drawn = `${view},drawbox=${field}:c=black:t=fill,drawbox=${field}:c=white:t=fill:enable='${isOn}'`;
  const tone = `aevalsrc='0.5*sin(2*PI*${TONE_HZ}*t)*${isOn}':s=48000:d=${seconds}`;
  const path = join(folder, name);
  await ffmpeg(
    ...['-loop', '1', '-framerate', String(fps), '-t', String(seconds), '-i', photo, '-f', 'lavfi', '-i', tone],
    ...['-map', '0:v', ...(clip.options.includes('-an') ? [] : ['-map', '1:a'])],
    ...['-vf', `${drawn},setsar=1,${filters}`, '-af', audioFilters, ...clip.options, path],
  );
  return path;
}
