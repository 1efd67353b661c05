import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { RecorderError } from '../errors.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { timelineOf } from './face-ranges.ts';
import { runFfmpeg } from './ffmpeg.ts';
import { FILES, initName, type RecordingRows, type StoredSegment, segmentName } from './recording.ts';
import { recordingKey } from './segment-delivery.ts';

/** The poster shows this moment, or the middle of what is shorter. */
const POSTER_MS = 2000;
const POSTER_WIDTH = 1280;

export interface FinaliserOptions {
  readonly store: Pick<ObjectStore, 'get' | 'put'>;
  readonly rows: Pick<RecordingRows, 'segments'>;
  readonly ffmpegPath: string;
}

/**
 * Makes one MP4 of a recording's segments, nothing encoded again, a poster of a redacted picture, and the timeline of
 * its faces, and stores them. All of it is done again where it is repeated.
 * @param folder of its own, empty or not there; erased at the end. Takes twice what the recording takes
 * @returns how many segments there are; nothing is made of none
 * @throws RecorderError; the signal's reason
 */
export async function finalise(
  id: string,
  folder: string,
  { store, rows, ffmpegPath }: FinaliserOptions,
  signal: AbortSignal,
): Promise<number> {
  const segments = await rows.segments(id);
  if (segments.length === 0) return 0;
  const key = (name: string): string => recordingKey({ id, isKept: true }, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    const timeline = {
      version: 1,
      durationMs: Math.round(durationOf(segments)),
      tracks: timelineOf(facesOf(segments)),
    };
    await store.put(key(FILES.timeline), Buffer.from(JSON.stringify(timeline)), {
      contentType: 'application/json',
      signal,
    });
    const mp4 = join(folder, FILES.mp4);
    await makeMp4(segments, folder, mp4, { fetch: (name) => store.get(key(name), { signal }), ffmpegPath, signal });
    const poster = join(folder, FILES.poster);
    await makePoster(mp4, poster, Math.min(POSTER_MS, durationOf(segments) / 2), { ffmpegPath, signal });
    await putFile(store, key(FILES.poster), poster, 'image/jpeg', signal);
    await putFile(store, key(FILES.mp4), mp4, 'video/mp4', signal);
    return segments.length;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Tools {
  readonly ffmpegPath: string;
  readonly signal: AbortSignal;
}

async function makeMp4(
  segments: readonly StoredSegment[],
  folder: string,
  mp4: string,
  { fetch, ffmpegPath, signal }: Tools & { fetch: (name: string) => ReturnType<ObjectStore['get']> },
): Promise<void> {
  const parts = Map.groupBy(segments, ({ part }) => part);
  const list: string[] = ['ffconcat version 1.0'];
  for (const [part, all] of parts) {
    const file = join(folder, `part-${part}.mp4`);
    for (const name of [initName({ part }), ...all.map(segmentName)]) {
      const { stream } = await fetch(name);
      await pipeline(stream, createWriteStream(file, { flags: 'a', mode: 0o600 }), { signal });
    }
    // FFmpeg does not know how long a fragmented file is before it has read it.
    list.push(`file part-${part}.mp4`, `duration ${(durationOf(all) / 1000).toFixed(6)}`);
  }
  const playlist = join(folder, 'parts.ffconcat');
  await writeFile(playlist, `${list.join('\n')}\n`, { mode: 0o600 });
  await runFfmpeg({
    path: ffmpegPath,
    ...(parts.size === 1
      ? { input: join(folder, `part-${segments[0]!.part}.mp4`), inputOptions: [] }
      : { input: playlist, inputOptions: ['-f', 'concat'] }),
    output: mp4,
    outputOptions: [
      ...['-map', '0:v:0', '-map', '0:a:0', '-c', 'copy', '-map_metadata', '-1'],
      ...['-movflags', 'faststart', '-f', 'mp4'],
    ],
    signal,
  }).done;
}

async function makePoster(mp4: string, poster: string, atMs: number, { ffmpegPath, signal }: Tools): Promise<void> {
  await runFfmpeg({
    path: ffmpegPath,
    input: mp4,
    inputOptions: ['-ss', (atMs / 1000).toFixed(3)],
    output: poster,
    outputOptions: [
      ...['-frames:v', '1', '-vf', `scale=min(iw\\,${POSTER_WIDTH}):-2`, '-q:v', '4', '-map_metadata', '-1'],
      ...['-f', 'image2', '-an'],
    ],
    signal,
  }).done;
  if ((await stat(poster).catch(() => null)) === null) throw new RecorderError('bad-media', 'ffmpeg made no poster');
}

async function putFile(
  store: Pick<ObjectStore, 'put'>,
  key: string,
  path: string,
  contentType: string,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await stat(path);
  await store.put(key, createReadStream(path), { contentType, size, signal });
}

function durationOf(segments: readonly StoredSegment[]): number {
  return segments.reduce((sum, { durationMs }) => sum + durationMs, 0);
}

/** On the recording's own line of time, as it is played: what was lost takes none. */
function* facesOf(segments: readonly StoredSegment[]) {
  let startMs = 0;
  for (const { faces, durationMs } of segments) {
    for (const face of faces) {
      yield {
        ...face,
        startMs: Math.round(startMs + face.startMs),
        endMs: Math.round(startMs + face.endMs),
      };
    }
    startMs += durationMs;
  }
}
