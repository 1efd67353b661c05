import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Demuxer } from 'node-av';
import { AVMEDIA_TYPE_VIDEO } from 'node-av/constants';
import { findFfmpeg } from '../../bench/ffmpeg-executable.ts';
import { readAccessUnit, readAvcConfig } from '../../sfu/rtmp/avc.ts';

const SAMPLE_RATE = 48_000;
/** Between silence and a tone of full strength. */
const LOUD = 2000;
/** Between black and white. */
const BRIGHT = 120;
/** A tone goes through zero: what is silent for so many samples is silence. */
const SILENT_SAMPLES = 240;

async function run(args: readonly string[]): Promise<{ stdout: Buffer; stderr: string }> {
  const { path } = await findFfmpeg();
  const options = { encoding: 'buffer', maxBuffer: 256 << 20 } as const;
  const { stdout, stderr } = await promisify(execFile)(path, ['-nostdin', '-hide_banner', ...args], options);
  return { stdout, stderr: stderr.toString() };
}

/** Decodes all of it, from a file or over HTTP, for so long. @returns the pictures, and what ffmpeg complained of */
export async function decodeAll(url: string, seconds?: number): Promise<{ pictures: number; complaints: string }> {
  const limit = seconds === undefined ? [] : ['-t', String(seconds)];
  const args = ['-v', 'warning', '-i', url, ...limit, '-map', '0:v:0', '-map', '0:a:0'];
  // Pictures keep their own times: on a busy machine some come closer to each other than a thirtieth of a second.
  const output = ['-vsync', 'passthrough', '-enc_time_base:v', '1:90000', '-f', 'null', '-'];
  const { stdout, stderr } = await run([...args, '-progress', 'pipe:1', ...output]);
  const pictures = Number([...stdout.toString().matchAll(/^frame=\s*(\d+)/gm)].at(-1)?.[1] ?? 0);
  // What older ones call it, newer ones take and deplore.
  const complaints = stderr.split('\n').filter((line) => !line.startsWith('-vsync is deprecated'));
  return { pictures, complaints: complaints.join('\n').trim() };
}

/** The coded pictures of a file, in Annex B. */
export async function picturesOf(path: string): Promise<{ data: Uint8Array; isKeyframe: boolean }[]> {
  await using demuxer = await Demuxer.open(path);
  const stream = demuxer.streams.find(({ codecpar }) => codecpar.codecType === AVMEDIA_TYPE_VIDEO)!;
  const config = readAvcConfig(stream.codecpar.extradata!)!;
  const pictures: { data: Uint8Array; isKeyframe: boolean }[] = [];
  for await (const packet of demuxer.packets(stream.index)) {
    if (!packet) continue;
    pictures.push(readAccessUnit(packet.data!, config)!);
    packet.free();
  }
  return pictures;
}

/** How far each beep of a file is from its flash, in ms; negative where it is heard first. See `makeFlashAndBeep`. */
export async function lipSyncOf(path: string, fps = 120): Promise<number[]> {
  // As a player shows them: pictures at even steps of its own clock, sound with its gaps filled.
  const video = await run([
    '-v',
    'error',
    '-i',
    path,
    '-vf',
    `fps=${fps},scale=1:1,format=gray`,
    '-f',
    'rawvideo',
    '-',
  ]);
  const filled = `aresample=${SAMPLE_RATE}:async=1:first_pts=0`;
  const audio = await run(['-v', 'error', '-i', path, '-af', filled, '-ac', '1', '-f', 's16le', '-']);
  const flashes = [...video.stdout.keys()]
    .filter((index) => index > 0 && video.stdout[index]! > BRIGHT && video.stdout[index - 1]! <= BRIGHT)
    .map((index) => (index * 1000) / fps);
  const beeps: number[] = [];
  let silentFor = 0;
  for (let at = 0; at + 1 < audio.stdout.length; at += 2) {
    const isLoud = Math.abs(audio.stdout.readInt16LE(at)) > LOUD;
    if (isLoud && silentFor > SILENT_SAMPLES) beeps.push((at / 2 / SAMPLE_RATE) * 1000);
    silentFor = isLoud ? 0 : silentFor + 1;
  }
  return flashes.flatMap((flash) => {
    const nearest = beeps.map((beep) => beep - flash).sort((a, b) => Math.abs(a) - Math.abs(b))[0];
    return nearest === undefined || Math.abs(nearest) > 500 ? [] : [nearest];
  });
}
