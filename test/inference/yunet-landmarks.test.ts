import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openDetector } from '../../inference/detect/open-detector.ts';
import { decodeImage } from '../../inference/image/decode-image.ts';
import { iou } from '../../inference/track/box.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import { type ResolvedModel, resolveModel } from '../../models/resolve.ts';
import { FIVE_PEOPLE, FOUR_PEOPLE } from '../clips/face-photo.ts';

/** A detector's box and one drawn by eye. */
const MIN_OVERLAP = 0.5;

const locations = { ...defaultModelLocations({}), allowDownload: false };
const yunet: ResolvedModel | null = await resolveModel('yunet-n', locations).catch(() => null);

test.skipIf(!yunet)(
  'YuNet gives each face of a real photo its eyes, nose and mouth where they are (needs YuNet)',
  async () => {
    const { entry, bytes } = yunet!;
    const detector = await openDetector(entry, bytes, 1);
    for (const { path, boxes } of [FIVE_PEOPLE, FOUR_PEOPLE]) {
      const picture = decodeImage(readFileSync(path));
      const faces = await detector.detect(picture, 640, 0.6);
      picture.free();
      for (const [x, y, w, h] of boxes) {
        const face = faces.find((found) => iou(found, { x, y, w, h }) > MIN_OVERLAP);
        const [rightEye, leftEye, nose, rightMouth, leftMouth] = face!.landmarks!;
        // Upright people who look about our way: their right is our left.
        expect(rightEye[0]).toBeLessThan(leftEye[0]);
        expect(rightMouth[0]).toBeLessThan(leftMouth[0]);
        expect(Math.max(rightEye[1], leftEye[1])).toBeLessThan(nose[1]);
        expect(nose[1]).toBeLessThan(Math.min(rightMouth[1], leftMouth[1]));
        for (const [pointX, pointY] of face!.landmarks!) {
          expect(pointX).toBeGreaterThan(face!.x);
          expect(pointX).toBeLessThan(face!.x + face!.w);
          expect(pointY).toBeGreaterThan(face!.y);
          expect(pointY).toBeLessThan(face!.y + face!.h);
        }
        // Eyes are about two fifths of a face's width apart.
        const apart = Math.hypot(leftEye[0] - rightEye[0], leftEye[1] - rightEye[1]) / face!.w;
        expect(apart).toBeGreaterThan(0.25);
        expect(apart).toBeLessThan(0.6);
      }
    }
    await detector.close();
  },
);
