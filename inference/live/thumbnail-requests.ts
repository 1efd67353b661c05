import type { VideoFrame } from '../media/video-frame.ts';
import type { Cover } from '../track/coverage.ts';
import type { FaceWithThumbnail } from './engine-messages.ts';
import type { LiveFace } from './live-engine.ts';
import { thumbnailOf } from './thumbnail.ts';

/** Thumbnails are cut from the next picture that leaves; this long without one, there are none. */
const WAIT_MS = 500;
const MAX_THUMBNAILS = 50;

type Answer = (faces: readonly FaceWithThumbnail[]) => void;

/** Answers who asks for the faces on screen, each with a thumbnail from the picture as it was before it was covered. */
export class ThumbnailRequests {
  #open: Answer[] = [];
  readonly #cut = new Map<number, string | null>();

  /** @param facesNow told at the time of the answer; where no picture leaves soon, they come without thumbnails */
  ask(facesNow: () => readonly LiveFace[]): Promise<readonly FaceWithThumbnail[]> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => answer(facesNow().map((face) => ({ ...face, thumbnail: null }))), WAIT_MS);
      const answer: Answer = (faces) => {
        clearTimeout(timer);
        this.#open = this.#open.filter((other) => other !== answer);
        resolve(faces);
      };
      this.#open.push(answer);
    });
  }

  /** Cuts the faces out of a picture that is about to be covered, where somebody asked. Borrows both. */
  cut(picture: VideoFrame['picture'], faces: readonly Cover[]): void {
    if (this.#open.length === 0) return;
    this.#cut.clear();
    for (const { track, box } of faces) {
      if (this.#cut.size >= MAX_THUMBNAILS) break;
      if (!this.#cut.has(track)) this.#cut.set(track, thumbnailOf(picture, box));
    }
  }

  /** The picture that was cut from has left, with these faces. */
  answer(faces: readonly LiveFace[]): void {
    if (this.#open.length === 0) return;
    const answers = faces.map((face) => ({ ...face, thumbnail: this.#cut.get(face.track) ?? null }));
    for (const answer of [...this.#open]) answer(answers);
    this.#cut.clear();
  }
}
