import type { DetectorEntry } from '../../models/manifest.ts';
import { fivePoints } from './candidates.ts';
import { type DetectionHead, levelsOf } from './detection-head.ts';

const MAX_IOU = 0.4;

/** RetinaFace: boxes and landmarks encoded against square priors about each cell's centre. @see Deng et al. 2019 */
export function retinafaceHead(names: DetectorEntry<'retinaface'>['outputs']): DetectionHead {
  const { strides, minSizes, variances } = names;
  const [centreVariance, sizeVariance] = variances;
  return {
    tensors: [names.loc, names.conf, ...(names.landms ? [names.landms] : [])],
    maxIou: MAX_IOU,
    read(outputs, input, minScore, faces) {
      const levels = levelsOf(input, strides);
      const priors = levels.reduce((sum, { cells }, k) => sum + cells * minSizes[k]!.length, 0);
      const probabilities = outputs.take(names.conf, priors, 2);
      const boxes = outputs.take(names.loc, priors, 4);
      const points = names.landms && outputs.take(names.landms, priors, 10);
      let i = 0;
      for (const [k, { stride, columns, cells }] of levels.entries()) {
        for (let cell = 0; cell < cells; cell++) {
          for (const size of minSizes[k]!) {
            const prior = i++;
            const score = probabilities[prior * 2 + 1]!;
            if (score < minScore) continue;
            const centreX = ((cell % columns) + 0.5) * stride;
            const centreY = (Math.floor(cell / columns) + 0.5) * stride;
            const unit = centreVariance * size;
            const x = centreX + boxes[prior * 4]! * unit;
            const y = centreY + boxes[prior * 4 + 1]! * unit;
            const w = size * Math.exp(boxes[prior * 4 + 2]! * sizeVariance);
            const h = size * Math.exp(boxes[prior * 4 + 3]! * sizeVariance);
            faces.add(
              score,
              x - w / 2,
              y - h / 2,
              x + w / 2,
              y + h / 2,
              points ? () => fivePoints((j) => points[prior * 10 + j]!, centreX, centreY, unit) : undefined,
            );
          }
        }
      }
    },
  };
}
