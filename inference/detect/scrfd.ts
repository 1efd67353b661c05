import type { DetectorEntry } from '../../models/manifest.ts';
import { fivePoints } from './candidates.ts';
import { type DetectionHead, levelsOf } from './detection-head.ts';

const MAX_IOU = 0.4;

/** SCRFD: distances from a cell's corner to the sides of the box. @see SCRFD, Guo et al. 2021 */
export function scrfdHead(names: DetectorEntry<'scrfd'>['outputs']): DetectionHead {
  const { strides, anchorsPerCell, kps } = names;
  return {
    tensors: [...names.scores, ...names.boxes, ...(kps ?? [])],
    maxIou: MAX_IOU,
    read(outputs, input, minScore, faces) {
      for (const [k, { stride, columns, cells }] of levelsOf(input, strides).entries()) {
        const anchors = cells * anchorsPerCell;
        const scores = outputs.take(names.scores[k]!, anchors, 1);
        const boxes = outputs.take(names.boxes[k]!, anchors, 4);
        const points = kps && outputs.take(kps[k]!, anchors, 10);
        for (let i = 0; i < anchors; i++) {
          const score = scores[i]!;
          if (score < minScore) continue;
          const cell = Math.floor(i / anchorsPerCell);
          const x = (cell % columns) * stride;
          const y = Math.floor(cell / columns) * stride;
          faces.add(
            score,
            x - boxes[i * 4]! * stride,
            y - boxes[i * 4 + 1]! * stride,
            x + boxes[i * 4 + 2]! * stride,
            y + boxes[i * 4 + 3]! * stride,
            points && (() => fivePoints((j) => points[i * 10 + j]!, x, y, stride)),
          );
        }
      }
    },
  };
}
