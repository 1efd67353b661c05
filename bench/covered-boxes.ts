import { readFileSync } from 'node:fs';
import type { TruthBox } from './clip-motion.ts';

/** A mask may reach to where its face was, or will be, this many frames away: between two detections it covers both. */
const REACH_FRAMES = 8;

/** Where the engine says, in the report of a job, that it covered something: a list of boxes for each frame. */
export function coveredBoxes(reportFile: string): TruthBox[][] {
  const { tracks, input }: { tracks: { id: number; boxes: number[][] }[]; input: { frames: number } } = JSON.parse(
    readFileSync(reportFile, 'utf8'),
  );
  const frames: TruthBox[][] = Array.from({ length: input.frames }, () => []);
  for (const { id, boxes } of tracks) {
    for (const [frame, x, y, w, h] of boxes as [number, number, number, number, number][]) {
      const last = Math.min(frames.length - 1, frame + REACH_FRAMES);
      for (let i = Math.max(0, frame - REACH_FRAMES); i <= last; i++) frames[i]!.push([id, x, y, w, h]);
    }
  }
  return frames;
}
