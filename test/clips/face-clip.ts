import type { Truth } from '../../bench/clip-motion.ts';
import { type MakeClipOptions, makeClip } from '../../bench/make-clip.ts';
import { type FacePhoto, FOUR_PEOPLE } from './face-photo.ts';

export interface FaceClip {
  readonly path: string;
  /** Where every face is in every frame. */
  readonly truth: Truth;
}

/** Two seconds of four people, filmed by an unsteady hand, 640×360, with a tone; what is given goes over it. */
export async function makeFaceClip(
  output: string,
  options: Partial<MakeClipOptions> = {},
  photo: FacePhoto = FOUR_PEOPLE,
): Promise<FaceClip> {
  const truth = await makeClip({
    photo: photo.path,
    boxes: photo.boxes,
    width: 640,
    height: 360,
    seconds: 2,
    motion: 'shake',
    ...options,
    output,
  });
  return { path: output, truth };
}
