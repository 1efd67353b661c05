import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RecorderError } from '../errors.ts';
import { runFfmpeg } from '../recording/ffmpeg.ts';
import { OUTPUTS } from './video-keys.ts';

/** An HLS rendition in two files: a playlist, and fMP4 segments one after the other, which it names by their bytes. */
export interface HlsFiles {
  readonly playlist: string;
  readonly segments: string;
}

/** What ffmpeg calls the segments' file, and the playlist names. */
const SEGMENTS_NAME = OUTPUTS.segments.name;

/**
 * Packages a redacted MP4 as HLS, its pictures as they are and its first sound track as AAC.
 * @throws RecorderError 'ffmpeg-failed' | 'bad-media'; the signal's reason
 */
export async function packageHls(
  mp4: string,
  folder: string,
  { ffmpegPath, segmentSeconds, signal }: { ffmpegPath: string; segmentSeconds: number; signal: AbortSignal },
): Promise<HlsFiles> {
  const playlist = join(folder, OUTPUTS.playlist.name);
  const segments = join(folder, SEGMENTS_NAME);
  await runFfmpeg({
    path: ffmpegPath,
    input: mp4,
    inputOptions: ['-protocol_whitelist', 'file', '-format_whitelist', 'mov,mp4,m4a,3gp,3g2,mj2'],
    output: playlist,
    outputOptions: [
      ...['-map', '0:v:0', '-map', '0:a:0?', '-map_metadata', '-1'],
      ...['-c:v', 'copy', '-c:a', 'aac', '-b:a', '128k', '-ac', '2', '-ar', '48000'],
      ...['-f', 'hls', '-hls_playlist_type', 'vod', '-hls_time', `${segmentSeconds}`, '-hls_list_size', '0'],
      ...['-hls_segment_type', 'fmp4', '-hls_flags', 'single_file', '-hls_segment_filename', segments],
    ],
    signal,
  }).done;
  const text = await readFile(playlist, 'utf8');
  if (!text.includes('#EXT-X-BYTERANGE') || !text.includes('#EXT-X-ENDLIST') || namesOf(text).length !== 1) {
    throw new RecorderError('bad-media', 'ffmpeg gave a playlist that is not as it was asked for');
  }
  return { playlist, segments };
}

/** A playlist of `packageHls` whose segments are at an address that was signed for them. */
export function signedPlaylist(playlist: string, address: string): string {
  return playlist.replaceAll(SEGMENTS_NAME, () => address);
}

/** The files that a playlist names. */
function namesOf(playlist: string): string[] {
  const names = playlist.split('\n').flatMap((line) => {
    if (line.startsWith('#')) return /URI="([^"]*)"/.exec(line)?.[1] ?? [];
    return line.trim() === '' ? [] : line.trim();
  });
  return [...new Set(names)];
}
