import { type Detection, iou } from '../track/box.ts';

/** More faces than this in one picture are not told apart: the best are kept. */
const MAX_DETECTIONS = 750;

/**
 * Greedy non-maximum suppression.
 * @returns the boxes that no better box overlaps by more than `maxIou`, best first
 */
export function suppress(detections: Detection[], maxIou: number): Detection[] {
  detections.sort((a, b) => b.score - a.score);
  const kept: Detection[] = [];
  for (const candidate of detections) {
    if (kept.length >= MAX_DETECTIONS) break;
    if (!kept.some((better) => iou(better, candidate) > maxIou)) kept.push(candidate);
  }
  return kept;
}
