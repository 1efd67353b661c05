import { faceThumbnail } from '../media/face-thumbnail.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import type { FaceEmbedder } from '../recognise/face-embedder.ts';
import type { LandmarkFinder } from '../recognise/landmark-finder.ts';
import { promiseOf, qualityOf, refusalOf } from '../recognise/look-quality.ts';
import { type LookCandidate, LookSchedule } from '../recognise/look-schedule.ts';
import { centreDistance, type Detection } from '../track/box.ts';
import type { Track } from '../track/track.ts';
import type { SeenFace } from '../track/tracker.ts';
import type { GoodLook } from './analysis.ts';

export interface TrackLooksOptions {
  readonly embedder: FaceEmbedder;
  /** For detectors that give no landmarks: called once, at the first face without. Its maker closes what it gives. */
  readonly openLandmarks: () => Promise<LandmarkFinder>;
  /** The first looks at a face are so many frames apart, later ones so many. */
  readonly apartFrames: number;
  readonly everyFrames: number;
  /** A face that was not seen for more frames is looked at as a new one. */
  readonly maxUnseenFrames: number;
}

/** A good look with its picture. */
export interface PicturedLook extends GoodLook {
  /** A JPEG without metadata. */
  readonly thumbnail: Uint8Array;
}

/** What was found out about the faces of one frame. */
export interface FrameLooks {
  /** By track; null where the recogniser failed. Never rejects. */
  readonly looks: ReadonlyMap<number, Promise<PicturedLook | null>>;
  /** Tracks that moved or changed their size as no face does: it may be another one. */
  readonly jumped: ReadonlySet<number>;
}

/** So many faces of one frame are looked at, each a look of 7 ms. The others have their turn in the next. */
const MAX_LOOKS_A_FRAME = 4;
/** All looks of a file together: 64 MB. Who is looked at no more is not known, and so covered. */
const MAX_EMBEDDED_NUMBERS = 16 * 2 ** 20;
/** Between two sightings a face moves by less than this, in sides, and changes its size by less than this factor. */
const MAX_MOVE = 0.5;
const MAX_SIZE_RATIO = 1.5;

interface Followed {
  goodLooks: number;
  lastSeen: number;
}

/** Looks at faces as they are detected, as often as it takes to tell who they are. One serves one file. */
export class TrackLooks {
  readonly #options: TrackLooksOptions;
  readonly #schedule: LookSchedule;
  readonly #tracks = new Map<number, Followed>();
  #landmarks: LandmarkFinder | undefined;
  #taken = 0;
  #failures = 0;
  #lastFailure: unknown;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: TrackLooksOptions) {
    this.#options = options;
    this.#schedule = new LookSchedule(options);
  }

  /** Whether there were so many looks that no more are taken. */
  get isExhausted(): boolean {
    return this.#taken * this.#options.embedder.dimension >= MAX_EMBEDDED_NUMBERS;
  }

  /** How many times the recogniser failed, and the last reason. */
  get failures(): { readonly count: number; readonly last: unknown } {
    return { count: this.#failures, last: this.#lastFailure };
  }

  /** Waits for the looks under way. */
  async close(): Promise<void> {
    await this.#turn;
  }

  /**
   * Looks at some of the faces that the detector saw in a frame; borrows its picture until it settles, when what the
   * recogniser makes of them is still to come. Calls must not overlap, and frames must go forward.
   * @throws InferenceError where a face can't be cut out
   */
  async look({ index, picture }: VideoFrame, faces: readonly SeenFace[]): Promise<FrameLooks> {
    this.#forget(index);
    const jumped = new Set(faces.filter(({ track }) => hasJumped(track)).map(({ track }) => track.id));
    const candidates = faces.map(({ track, detection }) => ({
      ...this.#candidate(index, track.id, detection, jumped),
      detection,
    }));
    const looks = new Map<number, Promise<PicturedLook | null>>();
    for (let taken = 0; taken < MAX_LOOKS_A_FRAME && !this.isExhausted; taken++) {
      const chosen = this.#schedule.choose(
        index,
        candidates.filter(({ track }) => !looks.has(track)),
      );
      if (!chosen) break;
      const look = await this.#lookAt(picture, index, chosen.track, chosen.detection);
      this.#schedule.looked(index, chosen, look !== null);
      if (look) looks.set(chosen.track, look.embedded);
    }
    return { looks, jumped };
  }

  #candidate(frame: number, track: number, detection: Detection, jumped: ReadonlySet<number>): LookCandidate {
    const known = this.#tracks.get(track);
    const isNew = !known || jumped.has(track) || frame - known.lastSeen > this.#options.maxUnseenFrames;
    const followed = isNew ? { goodLooks: 0, lastSeen: frame } : known;
    followed.lastSeen = frame;
    this.#tracks.set(track, followed);
    return { track, goodLooks: followed.goodLooks, promise: promiseOf(detection) };
  }

  async #lookAt(
    picture: VideoFrame['picture'],
    frame: number,
    track: number,
    detection: Detection,
  ): Promise<{ readonly embedded: Promise<PicturedLook | null> } | null> {
    const { embedder } = this.#options;
    const look = embedder.look(picture, await this.#withLandmarks(picture, detection));
    if (!look || refusalOf(look.quality) !== null) return null;
    const quality = qualityOf(look.quality);
    this.#tracks.get(track)!.goodLooks++;
    this.#taken++;
    const thumbnail = faceThumbnail(picture, detection);
    // The chip is the embedder's; its own thread works on one at a time, while the detector looks at the next picture.
    const { width, height, rgb, luma } = look.chip;
    const chip = { width, height, rgb: rgb.slice(), luma };
    const embedded = this.#turn.then(async () => {
      try {
        return { frame, embedding: await embedder.embed(chip), quality, thumbnail };
      } catch (error) {
        this.#failures++;
        this.#lastFailure = error;
        return null;
      }
    });
    this.#turn = embedded;
    return { embedded };
  }

  async #withLandmarks(picture: VideoFrame['picture'], detection: Detection): Promise<Detection> {
    if (detection.landmarks) return detection;
    this.#landmarks ??= await this.#options.openLandmarks();
    return this.#landmarks.complete(picture, detection);
  }

  #forget(frame: number): void {
    const { maxUnseenFrames } = this.#options;
    for (const [track, { lastSeen }] of this.#tracks) {
      if (frame - lastSeen > maxUnseenFrames) this.#tracks.delete(track);
    }
  }
}

/** Compares the latest sighting with the one before, both less the camera's motion. */
function hasJumped({ sightings }: Track): boolean {
  const [before, last] = [sightings.at(-2), sightings.at(-1)];
  if (!before || !last) return false;
  const ratio = Math.sqrt((before.w * before.h) / (last.w * last.h));
  return centreDistance(before, last) > MAX_MOVE || ratio > MAX_SIZE_RATIO || ratio < 1 / MAX_SIZE_RATIO;
}
