import type { DetectorEntry } from '../../models/manifest.ts';
import type { DetectionHead } from './detection-head.ts';

const MAX_IOU = 0.5;
/** Of the six predictors on an input of 512 × 512. @see models/importers/ssd-mobilenet-v1.ts */
const ANCHORS = 5118;

/** face-api's SSD on MobileNetV1: the detector that is always there. Its graph decodes the boxes. */
export function ssdMobilenetHead(names: DetectorEntry<'ssd-mobilenet-v1'>['outputs']): DetectionHead {
  return {
    tensors: [names.boxes, names.scores],
    maxIou: MAX_IOU,
    read(outputs, { width, height }, minScore, faces) {
      const scores = outputs.take(names.scores, ANCHORS, 1);
      const boxes = outputs.take(names.boxes, ANCHORS, 4);
      for (let i = 0; i < ANCHORS; i++) {
        const score = scores[i]!;
        if (score < minScore) continue;
        const [x1, y1, x2, y2] = [boxes[i * 4]!, boxes[i * 4 + 1]!, boxes[i * 4 + 2]!, boxes[i * 4 + 3]!];
        faces.add(score, x1 * width, y1 * height, x2 * width, y2 * height);
      }
    },
  };
}
