import type { DetectorEntry } from '../../models/manifest.ts';
import { fivePoints } from './candidates.ts';
import { type DetectionHead, levelsOf } from './detection-head.ts';

const MAX_IOU = 0.45;

/** YuNet: anchor-free, one box a cell. @see YuNet, Wu et al. 2023 */
export function yunetHead({ strides, cls, obj, bbox, kps }: DetectorEntry<'yunet'>['outputs']): DetectionHead {
  return {
    tensors: [...cls, ...obj, ...bbox, ...kps],
    maxIou: MAX_IOU,
    read(outputs, input, minScore, faces) {
      const floor = minScore * minScore;
      for (const [k, { stride, columns, cells }] of levelsOf(input, strides).entries()) {
        const classes = outputs.take(cls[k]!, cells, 1);
        const objects = outputs.take(obj[k]!, cells, 1);
        const boxes = outputs.take(bbox[k]!, cells, 4);
        const points = outputs.take(kps[k]!, cells, 10);
        for (let i = 0; i < cells; i++) {
          const squared = classes[i]! * objects[i]!;
          if (squared < floor) continue;
          const left = (i % columns) * stride;
          const top = Math.floor(i / columns) * stride;
          const x = left + boxes[i * 4]! * stride;
          const y = top + boxes[i * 4 + 1]! * stride;
          const w = Math.exp(boxes[i * 4 + 2]!) * stride;
          const h = Math.exp(boxes[i * 4 + 3]!) * stride;
          faces.add(Math.sqrt(squared), x - w / 2, y - h / 2, x + w / 2, y + h / 2, () =>
            fivePoints((j) => points[i * 10 + j]!, left, top, stride),
          );
        }
      }
    },
  };
}
