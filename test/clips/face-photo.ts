import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Box } from '../../bench/clip-motion.ts';

const DEMO = join(dirname(createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json')), 'demo');

export interface FacePhoto {
  readonly path: string;
  /** Every face in it. Both of the project's detectors find these, and no others, with a score above 0.9. */
  readonly boxes: readonly Box[];
}

/** Five people, 1920×1398; installed with face-api, so it is on every machine. */
export const FIVE_PEOPLE: FacePhoto = {
  path: join(DEMO, 'sample5.jpg'),
  boxes: [
    [1404, 383, 203, 311],
    [372, 882, 193, 283],
    [1107, 202, 174, 238],
    [596, 430, 183, 246],
    [784, 115, 160, 219],
  ],
};

/** Four other people, 1920×1537. */
export const FOUR_PEOPLE: FacePhoto = {
  path: join(DEMO, 'sample6.jpg'),
  boxes: [
    [252, 481, 217, 289],
    [1473, 261, 228, 298],
    [675, 326, 183, 310],
    [1168, 296, 203, 283],
  ],
};
