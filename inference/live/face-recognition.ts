import type { VideoFrame } from '../media/video-frame.ts';
import type { FaceLook } from '../recognise/face-embedder.ts';
import { promiseOf, refusalOf } from '../recognise/look-quality.ts';
import { LookSchedule } from '../recognise/look-schedule.ts';
import type { PeopleOnScreen } from '../recognise/people-on-screen.ts';
import type { Detection } from '../track/box.ts';
import type { SeenFace } from '../track/tracker.ts';
import type { LiveRecogniser } from './open-recogniser.ts';

const SCHEDULE = { apartFrames: 3, everyFrames: 15 };
/** An embedding that takes longer than this hangs: until it comes nobody is known. */
const HUNG_MS = 1000;
/** Longest that a frame waits for landmarks. */
const MAX_LANDMARKS_MS = 50;
/** After so many failures in a row the recogniser is loaded anew. */
const MAX_FAILURES = 10;
/** After a recogniser that did not load, or was given up, it is tried again so much later; longer each time. */
const RETRY_MS = 5000;
const MAX_RETRY_MS = 300_000;

/**
 * Looks at the faces of a live stream, at most one a frame, beside the frames: a chip is cut out while the picture is
 * there, and what the recogniser makes of it counts once it is known. Whatever fails here covers, and ends nothing.
 */
export class FaceRecognition {
  readonly #open: () => Promise<LiveRecogniser>;
  readonly #people: PeopleOnScreen;
  readonly #schedule = new LookSchedule(SCHEDULE);
  #recogniser: LiveRecogniser | null = null;
  #isOpening = false;
  #retryAtMs = 0;
  #retryMs = RETRY_MS;
  /** When the embedding under way was asked for. */
  #askedMs: number | null = null;
  #isHung = false;
  #embeddings = 0;
  #failures = 0;
  #failuresInARow = 0;
  #problem: string | null = null;
  #closed = false;

  /** @param open loads the recogniser, once somebody is to be recognised; it is closed here */
  constructor(people: PeopleOnScreen, open: () => Promise<LiveRecogniser>) {
    this.#people = people;
    this.#open = open;
  }

  /** The recogniser's name, once it is loaded. */
  get name(): string | null {
    return this.#recogniser?.name ?? null;
  }

  /** Totals. */
  get counts(): { readonly embeddings: number; readonly failures: number } {
    return { embeddings: this.#embeddings, failures: this.#failures };
  }

  /** What is wrong with it, one line; null where nothing is. */
  get problem(): string | null {
    return this.#problem ?? this.#people.problem;
  }

  /** Loads the recogniser, where somebody is to be recognised and it is not there yet. */
  prepare(): void {
    const isTime = performance.now() >= this.#retryAtMs;
    if (this.#recogniser || this.#isOpening || !isTime || this.#closed || !this.#people.wantsLooks) return;
    this.#load();
  }

  /** Looks at one of the faces of a frame, which it borrows until it settles. Never throws. */
  offer({ index, picture }: VideoFrame, faces: readonly SeenFace[]): void | Promise<void> {
    this.prepare();
    const recogniser = this.#recogniser;
    if (!recogniser || this.#closed || !this.#people.wantsLooks || this.#isBusy()) return;
    const candidates = faces
      .filter(({ track }) => track.believed)
      .map(({ track: { id }, detection }) => ({
        track: id,
        goodLooks: this.#people.goodLooks(id),
        promise: promiseOf(detection),
        detection,
      }));
    const chosen = this.#schedule.choose(index, candidates);
    if (!chosen) return;
    const take = (face: Detection): void => {
      this.#schedule.looked(index, chosen, false);
      const look = recogniser.look(picture, face);
      if (!look || refusalOf(look.quality) !== null) return;
      this.#schedule.looked(index, chosen, true);
      void this.#embed(recogniser, chosen.track, index, look);
    };
    try {
      if (chosen.detection.landmarks) take(chosen.detection);
      else return this.#complete(recogniser.complete(picture, chosen.detection), chosen.track, take);
    } catch (error) {
      this.#fail(error, chosen.track);
    }
  }

  /** Ends it; not while a frame is being looked at. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#recogniser?.close();
  }

  #load(): void {
    this.#isOpening = true;
    this.#open().then(
      (recogniser) => {
        this.#isOpening = false;
        this.#problem = null;
        if (this.#closed) {
          void recogniser.close();
          return;
        }
        this.#recogniser = recogniser;
        this.#people.setRecogniser(recogniser);
      },
      (error: unknown) => {
        this.#isOpening = false;
        this.#retryLater();
        this.#fail(error);
      },
    );
  }

  #isBusy(): boolean {
    if (this.#askedMs === null) return false;
    if (!this.#isHung && performance.now() - this.#askedMs > HUNG_MS) {
      this.#isHung = true;
      this.#fail(new Error(`an embedding takes longer than ${HUNG_MS} ms`));
    }
    return true;
  }

  async #embed(recogniser: LiveRecogniser, track: number, frame: number, { chip }: FaceLook): Promise<void> {
    this.#askedMs = performance.now();
    try {
      const embedding = await recogniser.embed(chip);
      this.#embeddings++;
      // One that took so long that all were forgotten for it says nothing any more.
      if (!this.#isHung) this.#people.look(track, frame, embedding);
      this.#problem = null;
      this.#failuresInARow = 0;
      this.#retryMs = RETRY_MS;
    } catch (error) {
      this.#fail(error, track);
    }
    this.#askedMs = null;
    this.#isHung = false;
    if (this.#failuresInARow >= MAX_FAILURES) this.#giveUp(recogniser);
  }

  /** It is of no use any more; what hangs stays as it is, for native code can't be ended. */
  #giveUp(recogniser: LiveRecogniser): void {
    this.#recogniser = null;
    this.#failuresInARow = 0;
    this.#retryLater();
    void recogniser.close();
  }

  #retryLater(): void {
    this.#retryAtMs = performance.now() + this.#retryMs;
    this.#retryMs = Math.min(MAX_RETRY_MS, 2 * this.#retryMs);
  }

  async #complete(finding: Promise<Detection>, track: number, take: (face: Detection) => void): Promise<void> {
    this.#askedMs = performance.now();
    const done = () => {
      this.#askedMs = null;
      this.#isHung = false;
    };
    const late = new Promise<null>((resolve) => setTimeout(resolve, MAX_LANDMARKS_MS, null).unref());
    const found = finding.then(
      (face) => {
        done();
        return face;
      },
      (error: unknown) => {
        done();
        this.#fail(error, track);
        return null;
      },
    );
    const face = await Promise.race([found, late]);
    if (!face) return;
    try {
      take(face);
    } catch (error) {
      this.#fail(error, track);
    }
  }

  #fail(error: unknown, track?: number): void {
    this.#failures++;
    this.#failuresInARow++;
    this.#problem = `faces are not recognised: ${error instanceof Error ? error.message : String(error)}`;
    this.#people.lookFailed(track);
  }
}
