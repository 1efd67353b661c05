import type { Person, Tracklet } from './analysis.ts';
import { clusterTracklets } from './cluster.ts';
import type { FrameClock } from './frame-clock.ts';
import type { Portrait } from './tracklet-builder.ts';

/** A face out of sight for less than this has not left. Milliseconds. */
const MAX_ABSENCE_MS = 1000;

/**
 * Who appears in a file.
 * @param tracklets by first frame
 * @param portraits one for each, or null
 * @param minSimilarity from which two tracklets are alike, 0..1
 */
export function peopleOf(
  tracklets: readonly Tracklet[],
  portraits: readonly (Portrait | null)[],
  minSimilarity: number,
  clock: FrameClock,
): Person[] {
  return clusterTracklets(tracklets, minSimilarity)
    .sort((a, b) => a[0]! - b[0]!)
    .map((members, index) => {
      const own = members.map((member) => tracklets[member]!);
      return {
        id: index + 1,
        tracklets: members,
        firstFrame: own[0]!.firstFrame,
        lastFrame: own.reduce((last, { lastFrame }) => Math.max(last, lastFrame), 0),
        ranges: rangesOf(own, clock),
        thumbnail: bestOf(members.map((member) => portraits[member]!)),
      };
    });
}

function bestOf(portraits: readonly (Portrait | null)[]): Uint8Array | null {
  return portraits.reduce((a, b) => ((b?.quality ?? 0) > (a?.quality ?? 0) ? b : a))?.jpeg ?? null;
}

/** @param tracklets by first frame; of one person, so that none overlap */
function rangesOf(tracklets: readonly Tracklet[], clock: FrameClock): [number, number][] {
  const ranges: [number, number][] = [];
  for (const { firstFrame, lastFrame } of tracklets) {
    const [start, end] = [Math.round(clock.startMs(firstFrame)), Math.round(clock.endMs(lastFrame))];
    const last = ranges.at(-1);
    if (last && start - last[1] < MAX_ABSENCE_MS) last[1] = Math.max(last[1], end);
    else ranges.push([start, end]);
  }
  return ranges;
}
