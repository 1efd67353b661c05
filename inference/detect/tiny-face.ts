import type { DetectorEntry } from '../../models/manifest.ts';
import { type DetectionHead, levelsOf } from './detection-head.ts';

const MAX_IOU = 0.4;
/** An anchor's planes: centre x, centre y, width, height, score. */
const PLANES = 5;

/** face-api's Tiny face detector, a YOLOv2. @see face-api, tinyYolov2/TinyYolov2Base.ts, extractBoxes */
export function tinyFaceHead(names: DetectorEntry<'tiny-face'>['outputs']): DetectionHead {
  return {
    tensors: [names.cells],
    maxIou: MAX_IOU,
    read(outputs, input, minScore, faces) {
      const { stride, columns, cells } = levelsOf(input, [names.stride])[0]!;
      const values = outputs.take(names.cells, names.anchors.length * PLANES, cells);
      for (const [a, [anchorWidth, anchorHeight]] of names.anchors.entries()) {
        const plane = (index: number, cell: number) => values[(a * PLANES + index) * cells + cell]!;
        for (let cell = 0; cell < cells; cell++) {
          const score = sigmoid(plane(4, cell));
          if (score < minScore) continue;
          const x = ((cell % columns) + sigmoid(plane(0, cell))) * stride;
          const y = (Math.floor(cell / columns) + sigmoid(plane(1, cell))) * stride;
          const w = Math.exp(plane(2, cell)) * anchorWidth * stride;
          const h = Math.exp(plane(3, cell)) * anchorHeight * stride;
          faces.add(score, x - w / 2, y - h / 2, x + w / 2, y + h / 2);
        }
      }
    },
  };
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
