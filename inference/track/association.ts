import { type Box, centreDistance, iou } from './box.ts';

/** Two faces whose sides differ by more than this factor are not the same one. */
const MAX_SIZE_RATIO = 2;

export interface Gate {
  /** Overlap from which a pair may match whatever its distance. */
  readonly minIou: number;
  /** Centre distance, in sides, up to which a pair without overlap may match. */
  readonly maxDistance: number;
}

/**
 * Pairs predictions with detections, the best pairs first: by overlap, and where small boxes move past their own
 * size by distance.
 * @returns pairs of indices; each index occurs once at most
 */
export function associate(
  predictions: readonly Box[],
  detections: readonly Box[],
  gateOf: (prediction: number) => Gate,
): [prediction: number, detection: number][] {
  const candidates: { cost: number; prediction: number; detection: number }[] = [];
  for (let prediction = 0; prediction < predictions.length; prediction++) {
    const a = predictions[prediction]!;
    const gate = gateOf(prediction);
    for (let detection = 0; detection < detections.length; detection++) {
      const b = detections[detection]!;
      const overlap = iou(a, b);
      if (overlap >= gate.minIou) {
        candidates.push({ cost: 1 - overlap, prediction, detection });
        continue;
      }
      const ratio = (a.w + a.h) / (b.w + b.h);
      if (ratio > MAX_SIZE_RATIO || ratio < 1 / MAX_SIZE_RATIO) continue;
      const distance = centreDistance(a, b);
      if (distance <= gate.maxDistance) candidates.push({ cost: 1 + distance, prediction, detection });
    }
  }
  candidates.sort((p, q) => p.cost - q.cost);
  const usedPredictions = new Set<number>();
  const usedDetections = new Set<number>();
  const pairs: [number, number][] = [];
  for (const { prediction, detection } of candidates) {
    if (usedPredictions.has(prediction) || usedDetections.has(detection)) continue;
    usedPredictions.add(prediction);
    usedDetections.add(detection);
    pairs.push([prediction, detection]);
  }
  return pairs;
}
