import { keyPrefix } from '../../recorder/store/keys.ts';
import type { ObjectStore } from '../../recorder/store/object-store.ts';
import type { VideoRepository } from '../database/video-repository.ts';

const AREAS = ['original', 'processed', 'thumbnails'] as const;

/**
 * Erases objects of videos that are not there any more: what somebody sent to an address that was signed before the video
 * was deleted, and what a worker stored that died before it heard of that. A video's row is there before its objects.
 * @returns how many
 */
export async function eraseOrphans(
  owner: string,
  store: Pick<ObjectStore, 'list' | 'delete'>,
  rows: Pick<VideoRepository, 'existing'>,
): Promise<number> {
  let erased = 0;
  for (const area of AREAS) {
    for (let after: string | undefined; ; ) {
      const { items, next } = await store.list(keyPrefix(area, owner), after === undefined ? {} : { after });
      const ids = new Set(items.map(({ key }) => videoOf(key)));
      const there = new Set(await rows.existing([...ids]));
      for (const { key } of items) {
        if (there.has(videoOf(key))) continue;
        await store.delete(key);
        erased++;
      }
      if (next === null) break;
      after = next;
    }
  }
  return erased;
}

/** From `AREA/OWNER/VIDEO` and what follows. */
function videoOf(key: string): string {
  return key.split('/')[2] ?? '';
}
