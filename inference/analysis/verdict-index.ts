import type { Verdict } from './analysis.ts';

/** Finds what was decided of a face of one frame. */
export class VerdictIndex {
  readonly #byTrack: ReadonlyMap<number, readonly Verdict[]>;

  constructor(verdicts: readonly Verdict[]) {
    this.#byTrack = Map.groupBy(verdicts, ({ track }) => track);
  }

  isVisible(track: number, frame: number): boolean {
    const own = this.#of(track, frame);
    return own.length > 0 && own.every(({ visible }) => visible);
  }

  /** Whose face it is, where that is known. */
  identityOf(track: number, frame: number): string | null {
    return this.#of(track, frame).find(({ identity }) => identity !== null)?.identity ?? null;
  }

  #of(track: number, frame: number): readonly Verdict[] {
    const own = this.#byTrack.get(track) ?? [];
    return own.filter(({ firstFrame, lastFrame }) => frame >= firstFrame && frame <= lastFrame);
  }
}
