import { join, parse } from 'node:path';
import type { Motion } from './clip-motion.ts';
import { cachedClip, readManifest, TESTDATA_FOLDER } from './clips.ts';

/** A clip in which nobody is. */
export interface FacelessClip {
  readonly name: string;
  readonly group: string;
  readonly file: string;
}

/** Longer sides of photos as clips: what is larger is made smaller. */
const MAX_SIDE = 1280;

const even = (side: number) => 2 * Math.round(side / 2);

/** Every photo without a face as a clip of its own size. */
export async function facelessPhotos(motion: Motion, seconds: number): Promise<FacelessClip[]> {
  const clips: FacelessClip[] = [];
  for (const { file, subkind, width, height } of readManifest()) {
    // What is drawn or worn as a face is a matter of policy, not an error.
    if (!file.startsWith('negative/') || subkind !== 'no-face') continue;
    const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
    const clip = await cachedClip(`${parse(file).name}-${motion}`, {
      photo: join(TESTDATA_FOLDER, file),
      boxes: [],
      motion,
      seconds,
      width: even(width * scale),
      height: even(height * scale),
    });
    clips.push({ name: parse(file).name, group: `photos, ${motion}`, file: clip.file });
  }
  return clips;
}

export function facelessVideos(): FacelessClip[] {
  return readManifest()
    .filter(({ file }) => file.startsWith('video/') && file.includes('_neg_'))
    .map(({ file }) => ({ name: parse(file).name, group: 'clips', file: join(TESTDATA_FOLDER, file) }));
}
