import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type AVCodecID, avGetPixFmtName, Decoder, Demuxer, FilterAPI, type Stream } from 'node-av';
import { readPictures } from '../../clips/read-media.ts';
import { FIELD, HEIGHT, WIDTH } from './format-clip.ts';

/** The tone is on from the first sample that is louder than this. */
const LOUD = 0.1;
/** The white field is on where its mean is above this, 0..255. */
const BRIGHT = 128;
/** Between two tones. */
const SILENCE_SECONDS = 0.1;
const MAX_BYTES = 2 ** 29;

/** One track of sound. */
export interface DecodedSound {
  /** When the tone begins, each time. */
  readonly tones: readonly number[];
  readonly endSeconds: number;
  readonly channels: number;
}

/** A clip as a player shows it: upright, its range and matrix taken from its own tags. */
export interface DecodedClip {
  /** RGB, 8 bits each, row by row. */
  readonly pictures: readonly Uint8Array[];
  readonly width: number;
  readonly height: number;
  /** When each is shown. */
  readonly seconds: readonly number[];
  /** When the last one ends. */
  readonly endSeconds: number;
  readonly sound: readonly DecodedSound[];
}

/** What a file says of its pictures. */
export interface PictureTags {
  readonly codec: AVCodecID;
  readonly pixels: string;
  /** FFmpeg's numbers, which are those of ITU-T H.273 but for the range: 1 is limited, 2 full. */
  readonly range: number;
  readonly matrix: number;
  readonly primaries: number;
  readonly transfer: number;
  /** Width of a pixel against its height. */
  readonly pixelShape: number;
}

export async function readPictureTags(path: string): Promise<PictureTags> {
  await using demuxer = await Demuxer.open(path);
  const { codecpar, sampleAspectRatio } = demuxer.video()!;
  const { num, den } = sampleAspectRatio.num > 0 ? sampleAspectRatio : codecpar.sampleAspectRatio;
  return {
    codec: codecpar.codecId,
    pixels: avGetPixFmtName(codecpar.format as Parameters<typeof avGetPixFmtName>[0]) ?? '',
    range: codecpar.colorRange,
    matrix: codecpar.colorSpace,
    primaries: codecpar.colorPrimaries,
    transfer: codecpar.colorTrc,
    pixelShape: num > 0 && den > 0 ? num / den : 1,
  };
}

/**
 * Decodes a clip with the system's FFmpeg, which is not the engine's, and reads its times.
 * @param filters what makes the pictures comparable, e.g. deinterlaces them
 */
export async function decodeClip(path: string, filters = 'null'): Promise<DecodedClip> {
  const shown = await readPictures(path);
  const { width, height, pictures } = await readRgb(path, filters);
  const last = shown.at(-1)!;
  return {
    pictures,
    width,
    height,
    seconds: shown.map(({ seconds }) => seconds),
    endSeconds: last.seconds + last.durationSeconds,
    sound: await readSound(path),
  };
}

/** When the white field lights up, each time. */
export function flashes(clip: DecodedClip): number[] {
  const isOn = clip.pictures.map((picture) => fieldMean(clip, picture) > BRIGHT);
  return clip.seconds.filter((_, n) => isOn[n] && !isOn[n - 1]);
}

function fieldMean({ width, height }: DecodedClip, picture: Uint8Array): number {
  // Well inside, away from what a codec smears over its edge.
  const [x0, x1] = [Math.ceil((FIELD.x + FIELD.w / 4) * width), Math.floor((FIELD.x + (FIELD.w * 3) / 4) * width)];
  const [y0, y1] = [Math.ceil((FIELD.y + FIELD.h / 4) * height), Math.floor((FIELD.y + (FIELD.h * 3) / 4) * height)];
  let sum = 0;
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += picture[3 * (y * width + x) + 1]!;
  return sum / ((x1 - x0) * (y1 - y0));
}

async function readRgb(path: string, filters: string) {
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'];
  const chain = `${filters},scale=flags=bicubic+accurate_rnd+full_chroma_int,showinfo`;
  const args = ['-nostdin', '-hide_banner', '-i', path, '-map', '0:v:0', '-an', '-vsync', '0', '-vf', chain, ...raw];
  const { stdout, stderr } = await promisify(execFile)('ffmpeg', args, { encoding: 'buffer', maxBuffer: MAX_BYTES });
  const size = / s:(\d+)x(\d+) /.exec(stderr.toString('latin1'));
  const [width, height] = [Number(size?.[1] ?? WIDTH), Number(size?.[2] ?? HEIGHT)];
  const bytes = 3 * width * height;
  const pictures = Array.from({ length: stdout.length / bytes }, (_, n) => stdout.subarray(n * bytes, (n + 1) * bytes));
  return { width, height, pictures };
}

/** Every track's sound. */
export async function readSound(path: string): Promise<DecodedSound[]> {
  await using demuxer = await Demuxer.open(path);
  const streams = demuxer.streams.filter((stream) => stream.codecpar.sampleRate > 0);
  const sound: DecodedSound[] = [];
  for (const stream of streams) sound.push(await readTrack(path, stream.index));
  return sound;
}

async function readTrack(path: string, index: number): Promise<DecodedSound> {
  await using demuxer = await Demuxer.open(path);
  const stream = demuxer.streams[index] as Stream;
  using decoder = await Decoder.create(stream);
  using planar = FilterAPI.create('aformat=sample_fmts=flt');
  const tones: number[] = [];
  let lastLoud = Number.NEGATIVE_INFINITY;
  let endSeconds = 0;
  let channels = 0;
  for await (const frame of planar.frames(decoder.frames(demuxer.packets(index)))) {
    if (!frame) continue;
    using samples = frame;
    const bytes = samples.data![0]!;
    const values = new Float32Array(Uint8Array.from(bytes).buffer, 0, samples.nbSamples * samples.channels);
    const start = (Number(samples.pts) * samples.timeBase.num) / samples.timeBase.den;
    channels = samples.channels;
    for (const [i, value] of values.entries()) {
      if (Math.abs(value) <= LOUD) continue;
      const at = start + Math.floor(i / channels) / samples.sampleRate;
      if (at - lastLoud > SILENCE_SECONDS) tones.push(at);
      lastLoud = at;
    }
    endSeconds = start + samples.nbSamples / samples.sampleRate;
  }
  return { tones, endSeconds, channels };
}
