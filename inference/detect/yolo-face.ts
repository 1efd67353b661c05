import type { DetectorEntry } from '../../models/manifest.ts';
import { fivePoints } from './candidates.ts';
import { type DetectionHead, levelsOf } from './detection-head.ts';

const MAX_IOU = 0.45;

/** Where in an anchor's values things stand; the box's centre and size stand first. */
interface Layout {
  readonly values: number;
  readonly anchorsPerCell: number;
  /** Whether an anchor's values lie side by side; else each value of all anchors does. */
  readonly isByAnchor: boolean;
  /** Their product is the score. */
  readonly score: readonly number[];
  /** The first of five points, and how many values each has; null without landmarks. */
  readonly landmarks: { readonly first: number; readonly perPoint: number } | null;
}

const LAYOUTS: Readonly<Record<DetectorEntry<'yolo-face'>['outputs']['layout'], Layout>> = {
  'yolov5-face': {
    values: 16,
    anchorsPerCell: 3,
    isByAnchor: true,
    score: [4, 15],
    landmarks: { first: 5, perPoint: 2 },
  },
  'yolov8-face': {
    values: 20,
    anchorsPerCell: 1,
    isByAnchor: false,
    score: [4],
    landmarks: { first: 5, perPoint: 3 },
  },
  yolov8: { values: 5, anchorsPerCell: 1, isByAnchor: false, score: [4], landmarks: null },
};

/** YOLO detectors of faces whose graph gives boxes in pixels of the input. */
export function yoloFaceHead({ tensor, layout, strides }: DetectorEntry<'yolo-face'>['outputs']): DetectionHead {
  const { values, anchorsPerCell, isByAnchor, score: factors, landmarks } = LAYOUTS[layout];
  return {
    tensors: [tensor],
    maxIou: MAX_IOU,
    read(outputs, input, minScore, faces) {
      const cells = levelsOf(input, strides).reduce((sum, level) => sum + level.cells, 0);
      const anchors = cells * anchorsPerCell;
      const output = isByAnchor ? outputs.take(tensor, anchors, values) : outputs.take(tensor, values, anchors);
      const [perAnchor, perValue] = isByAnchor ? [values, 1] : [1, anchors];
      for (let i = 0; i < anchors; i++) {
        const at = (value: number) => output[i * perAnchor + value * perValue]!;
        let score = 1;
        for (const factor of factors) score *= at(factor);
        if (score < minScore) continue;
        const [x, y, w, h] = [at(0), at(1), at(2), at(3)];
        const point = (j: number) => at(landmarks!.first + Math.floor(j / 2) * landmarks!.perPoint + (j % 2));
        faces.add(
          score,
          x - w / 2,
          y - h / 2,
          x + w / 2,
          y + h / 2,
          landmarks ? () => fivePoints(point, 0, 0, 1) : undefined,
        );
      }
    },
  };
}
