import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Decoder, Demuxer } from 'node-av';
import type { Truth } from '../../bench/clip-motion.ts';
import type { Detector } from '../../inference/detect/detector.ts';
import { openDetector } from '../../inference/detect/open-detector.ts';
import { type Detection, iou } from '../../inference/track/box.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { resolveDetector } from '../../models/resolve.ts';

/** The best detector of this machine, without a download. The caller closes it. */
export async function openTestDetector(): Promise<Detector> {
  const cacheDir = mkdtempSync(join(tmpdir(), 'faceblur-cache-'));
  try {
    const locations = { ...defaultModelLocations({}), cacheDir, allowDownload: false };
    const { entry, bytes } = await resolveDetector(locations, () => undefined);
    return await openDetector(entry, bytes, 1);
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

/** A face that the detector finds in a clip where the truth says that one is. */
export interface FoundFace extends Detection {
  readonly frame: number;
  readonly id: number;
}

/** A detection lies on a true face when they overlap this much: two boxes of one face seldom overlap less. */
const MIN_OVERLAP = 0.4;

/** Looks for the faces of the truth in every so many-th frame of a clip of the same size. */
export async function findTrueFaces(
  path: string,
  truth: Truth,
  detector: Detector,
  { minScore, everyFrames }: { minScore: number; everyFrames: number },
): Promise<FoundFace[]> {
  await using demuxer = await Demuxer.open(path);
  const stream = demuxer.video()!;
  using decoder = await Decoder.create(stream);
  const found: FoundFace[] = [];
  for await (const picture of decoder.frames(demuxer.packets(stream.index))) {
    if (!picture) continue;
    using frame = picture;
    // By time: pictures may be missing.
    const index = Math.round((Number(frame.pts) * stream.timeBase.num * truth.fps) / stream.timeBase.den);
    if (index % everyFrames !== 0) continue;
    for (const face of await detector.detect(frame, Math.max(truth.width, truth.height), minScore)) {
      const hit = truth.frames[index]?.find(([, x, y, w, h]) => iou({ x, y, w, h }, face) >= MIN_OVERLAP);
      if (hit) found.push({ ...face, frame: index, id: hit[0] });
    }
  }
  return found;
}
