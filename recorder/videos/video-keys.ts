import { keyPrefix, objectKey } from '../store/keys.ts';
import type { VideoPlace } from './video.ts';

/** The upload, as it came. */
export function originalKey({ owner, id }: VideoPlace): string {
  return objectKey('original', owner, id);
}

/** The faces of each frame: boxes and times, and nothing of what anybody looks like. */
export function framesKey({ owner, id }: VideoPlace, folder: string): string {
  return objectKey('processed', owner, id, folder, 'frames');
}

/** Sealed: the embeddings of all looks at all faces. */
export function looksKey({ owner, id }: VideoPlace, folder: string): string {
  return objectKey('processed', owner, id, folder, 'looks');
}

/** Sealed: who appears, with a picture of each. */
export function peopleKey({ owner, id }: VideoPlace, folder: string): string {
  return objectKey('thumbnails', owner, id, folder, 'people');
}

/** What a render gives. */
export const OUTPUTS = {
  mp4: { name: 'video.mp4', contentType: 'video/mp4' },
  report: { name: 'report.json', contentType: 'application/json' },
  playlist: { name: 'index.m3u8', contentType: 'application/vnd.apple.mpegurl' },
  segments: { name: 'segments.mp4', contentType: 'video/mp4' },
} as const;
export type Output = keyof typeof OUTPUTS;

export function outputKey({ owner, id }: VideoPlace, folder: string, output: Output): string {
  return objectKey('processed', owner, id, folder, OUTPUTS[output].name);
}

/** What all objects of one attempt at a video's job begin with. */
export function attemptPrefixes({ owner, id }: VideoPlace, folder: string): string[] {
  return [keyPrefix('processed', owner, id, folder), keyPrefix('thumbnails', owner, id, folder)];
}

/** What all objects that were made of a video begin with; its upload is not among them. */
export function madePrefixes({ owner, id }: VideoPlace): string[] {
  return [keyPrefix('processed', owner, id), keyPrefix('thumbnails', owner, id)];
}

/** Names an attempt's objects and files: of two attempts at one job, neither writes over the other's. */
export function attemptFolder({ id }: { readonly id: string }, attempt: number): string {
  return `${id}-${attempt}`;
}
