import type { Detection, Landmarks } from '../track/box.ts';
import type { FaceChip } from './face-chip.ts';

/** Why a look at a face does not tell who it is. */
export type LookRefusal = 'too-small' | 'too-blurred' | 'turned' | 'unsure';

/** How well one look shows a face. */
export interface LookQuality {
  /** Side of a square as large as the face's box, pixels of the picture. */
  readonly sizePx: number;
  /** Root of the mean squared slope of the chip's middle, in its own contrast, by the distance of the eyes. */
  readonly sharpness: number;
  /** How far the nose is off the middle, in halves of the distance of the eyes: 0 from the front, ±1 above an eye. */
  readonly yaw: number;
  /** How far down from the eyes to the mouth the nose is, 0..1. */
  readonly pitch: number;
  /** How the eyes lie, degrees clockwise from level. */
  readonly roll: number;
  /** The detector's, 0..1. */
  readonly score: number;
}

/**
 * What a look must show to count, as `bench:identity -- --gate` measures it: photos made smaller and blurred, found and
 * aligned anew, with face-api's recogniser. With less detail people do not only become strangers to themselves, they
 * become alike: below 32 px, or blurred until sharpness is about 9, two strangers as bad pass four times as often as two
 * of 64 px, and soon fifteen times; one's own photos pass in 90 % and less instead of 97 %. Turned as far as here,
 * photos show no difference yet; further, landmarks are guesses.
 */
const GATE = { sizePx: 32, sharpness: 9, yaw: 0.8, pitch: [0.35, 0.8], roll: 45, score: 0.6 } as const;
/** From here on more of it tells no more. */
const ENOUGH = { sizePx: 112, sharpness: 16 } as const;

/** Why a look does not count, or null where it does. What is no number does not. */
export function refusalOf({ sizePx, sharpness, yaw, pitch, roll, score }: LookQuality): LookRefusal | null {
  if (!(sizePx >= GATE.sizePx)) return 'too-small';
  if (!(sharpness >= GATE.sharpness)) return 'too-blurred';
  const [leastPitch, mostPitch] = GATE.pitch;
  const isFrontal = Math.abs(yaw) <= GATE.yaw && pitch >= leastPitch && pitch <= mostPitch;
  if (!isFrontal || !(Math.abs(roll) <= GATE.roll)) return 'turned';
  return score >= GATE.score ? null : 'unsure';
}

/** One number for a look, 0..1, more is better: large, sharp, from the front, and surely a face. */
export function qualityOf({ sizePx, sharpness, yaw, pitch, score }: LookQuality): number {
  const size = Math.min(1, sizePx / ENOUGH.sizePx);
  const detail = Math.min(1, sharpness / ENOUGH.sharpness);
  const front = Math.max(0, 1 - Math.hypot(yaw / 2, pitch - FRONTAL_PITCH));
  const quality = Math.sqrt(size * detail) * front * score;
  return Number.isNaN(quality) ? 0 : quality;
}

/**
 * The best that a look at a detected face can come to, 0..1, told before it is cut out: as if it were sharp. 0 where it
 * would not count in any case.
 */
export function promiseOf(face: Detection): number {
  const pose = face.landmarks ? poseOf(face.landmarks) : { yaw: 0, pitch: FRONTAL_PITCH, roll: 0 };
  const best: LookQuality = { sizePx: sizeOf(face), sharpness: ENOUGH.sharpness, ...pose, score: face.score };
  return refusalOf(best) === null ? qualityOf(best) : 0;
}

/** Of a face seen from the front, on average. */
const FRONTAL_PITCH = 0.58;

/** The part of the chip that is face with any recogniser's geometry. */
const MIDDLE = { from: 0.25, to: 0.8 };

export function measureLook(face: Detection, landmarks: Landmarks, chip: FaceChip, chipEyes: number): LookQuality {
  return {
    sizePx: sizeOf(face),
    sharpness: sharpnessOf(chip) * chipEyes,
    ...poseOf(landmarks),
    score: face.score,
  };
}

function sizeOf({ w, h }: Detection): number {
  return Math.sqrt(w * h);
}

/** Five landmarks of a face seen from the front lie alike in all people; turned, they move. */
function poseOf([rightEye, leftEye, nose, rightMouth, leftMouth]: Landmarks): {
  yaw: number;
  pitch: number;
  roll: number;
} {
  const [ex, ey] = [leftEye[0] - rightEye[0], leftEye[1] - rightEye[1]];
  const eyes = Math.hypot(ex, ey);
  const [eyesX, eyesY] = [(leftEye[0] + rightEye[0]) / 2, (leftEye[1] + rightEye[1]) / 2];
  const [mx, my] = [(leftMouth[0] + rightMouth[0]) / 2 - eyesX, (leftMouth[1] + rightMouth[1]) / 2 - eyesY];
  const [nx, ny] = [nose[0] - eyesX, nose[1] - eyesY];
  const pitch = (nx * mx + ny * my) / (mx * mx + my * my);
  const off = ((nx - pitch * mx) * ex + (ny - pitch * my) * ey) / eyes;
  return { yaw: off / (eyes / 2), pitch, roll: (Math.atan2(ey, ex) * 180) / Math.PI };
}

function sharpnessOf({ luma, width, height }: FaceChip): number {
  const [x1, x2] = [Math.floor(width * MIDDLE.from), Math.floor(width * MIDDLE.to)];
  const [y1, y2] = [Math.floor(height * MIDDLE.from), Math.floor(height * MIDDLE.to)];
  let [sum, squares, slopes] = [0, 0, 0];
  for (let y = y1; y < y2; y++) {
    for (let at = y * width + x1, end = y * width + x2; at < end; at++) {
      const value = luma[at]!;
      const dx = luma[at + 1]! - luma[at - 1]!;
      const dy = luma[at + width]! - luma[at - width]!;
      sum += value;
      squares += value * value;
      slopes += dx * dx + dy * dy;
    }
  }
  const count = (x2 - x1) * (y2 - y1);
  const variance = squares / count - (sum / count) ** 2;
  return variance > 0 ? Math.sqrt(slopes / count / 4 / variance) : 0;
}
