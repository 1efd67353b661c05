import { blurRegions, coverWhole } from './blur/blur-regions.ts';
import { PicturePool } from './blur/picture-pool.ts';
import type { Redacted } from './blur/redacted.ts';
import { faceRegion } from './blur/region.ts';
import { type InspectedFrame, Inspector, type InspectorChanges, type InspectorOptions } from './inspector.ts';
import type { VideoFrame } from './media/video-frame.ts';
import type { BlurPolicy, PeoplePolicy } from './policy.ts';
import type { FaceVerdict } from './recognise/face-verdict.ts';
import { PeopleOnScreen } from './recognise/people-on-screen.ts';
import type { Cover } from './track/coverage.ts';

export interface PipelineOptions extends InspectorOptions {
  readonly policy: BlurPolicy;
  /** Shown each inspected picture as it was, with all its faces, right before they are covered; both borrowed. */
  readonly onInspected?: (picture: VideoFrame['picture'], faces: readonly Cover[]) => void;
}

/** What may be changed between two frames. */
export type PipelineChanges = InspectorChanges & {
  readonly policy?: BlurPolicy;
  /** Who may be seen; null for nobody. Embeddings are copied. */
  readonly people?: PeoplePolicy | null;
};

/** A picture that may leave, with what was covered in it. */
export interface RedactedPicture {
  readonly frame: Redacted<VideoFrame>;
  readonly covers: readonly Cover[];
  /** Faces that may be seen, left as they are but for where a cover reaches. */
  readonly shown: readonly Cover[];
  /** It was covered whole because something failed. */
  readonly whole: boolean;
  /** How it was inspected; null where it was not, and so was covered whole. */
  readonly inspection: 'detected' | 'bracketed' | null;
}

/** The same, with why each of its tracks is covered or shown. */
export interface JudgedPicture extends RedactedPicture {
  readonly verdicts: ReadonlyMap<number, FaceVerdict>;
}

/**
 * Inspect, policy, blur: frames go in as they were decoded and come out redacted, in order, `windowFrames` later. One
 * that was not inspected, or on which any step failed, leaves covered whole.
 */
export class BlurPipeline {
  /** Who of those in its pictures is seen; nobody is until people or pins say so. */
  readonly people = new PeopleOnScreen();
  #options: Pick<PipelineOptions, 'policy' | 'onInspected'>;
  readonly #inspector: Inspector;
  readonly #pool = new PicturePool();
  #failures = 0;
  #lastFailure: unknown;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#inspector = new Inspector({
      ...options,
      onSeen: (frame, faces) => {
        this.people.see(frame.index, faces);
        return options.onSeen?.(frame, faces);
      },
    });
  }

  /** How many times detection, tracking or what comes after failed, and the last reason. */
  get failures(): { readonly count: number; readonly last: unknown } {
    const { count, last } = this.#inspector.failures;
    return { count: count + this.#failures, last: this.#lastFailure ?? last };
  }

  /**
   * Takes a frame over, looks at it, and gives back those that are ready; each is the caller's.
   * Frames must be numbered without gaps.
   */
  async push(frame: VideoFrame): Promise<JudgedPicture[]> {
    return (await this.#inspector.push(frame)).map((inspected) => this.#redact(inspected));
  }

  /** From the next frame that leaves on. A window that shrinks lets go of what it held with the next frame that comes. */
  change({ policy, people, ...changes }: PipelineChanges): void {
    if (policy) this.#options = { ...this.#options, policy };
    if (people !== undefined) this.people.setPolicy(people);
    this.#inspector.change(changes);
  }

  /** Frames are missing before the next one: it says nothing about those before it, nor they about it. */
  async gap(): Promise<void> {
    await this.#inspector.gap();
    this.people.gap();
  }

  /**
   * Shows or covers the face of one track for as long as it is sure to be the same face; where looks are taken at faces,
   * that person for as long as the pipeline lives.
   * @returns false where no such face is on screen
   */
  pin(track: number, visible: boolean): boolean {
    if (!this.#inspector.isFollowing(track)) return false;
    this.people.pin(track, visible);
    return true;
  }

  /** Gives back all that is held, once no frame follows: one by one, so that no second window of copies is needed. */
  async *flush(): AsyncGenerator<JudgedPicture> {
    for await (const inspected of this.#inspector.flush()) yield this.#redact(inspected);
  }

  /** Frees what is held, once nobody looks at it any more. The detector is its maker's to close. */
  async close(): Promise<void> {
    await this.#inspector.close();
    this.people.close();
    this.#pool.close();
  }

  #redact({ frame, faces, inspection }: InspectedFrame): JudgedPicture {
    if (inspection === null) return this.#covered(frame);
    let verdicts: ReadonlyMap<number, FaceVerdict>;
    try {
      verdicts = this.people.verdictsOf(faces, frame.index);
      this.#options.onInspected?.(frame.picture, faces);
    } catch (error) {
      this.#failures++;
      this.#lastFailure = error;
      return this.#covered(frame);
    }
    const isShown = ({ track }: Cover): boolean => verdicts.get(track)?.visible === true;
    const covers = faces.filter((face) => !isShown(face));
    const shown = faces.filter(isShown);
    const regions = covers.map(({ box }) => faceRegion(box, this.#options.policy));
    return { frame: blurRegions(frame, regions, this.#pool), covers, shown, verdicts, whole: false, inspection };
  }

  #covered(frame: VideoFrame): JudgedPicture {
    const nobody = { covers: [], shown: [], verdicts: new Map<number, FaceVerdict>() };
    return { frame: coverWhole(frame, this.#pool), ...nobody, whole: true, inspection: null };
  }
}
