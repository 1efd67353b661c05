import type { StoredSegment } from './recording.ts';

/** A segment that viewers of the live stream can fetch. */
export interface WindowSegment extends Pick<StoredSegment, 'number' | 'part' | 'durationMs'> {
  readonly recording: string;
  readonly isKept: boolean;
}

/**
 * What viewers of a live stream can go back in: its latest segments, over recordings that begin and end meanwhile. Older
 * ones leave it, as in the HLS of a broadcaster; a recording's own playlist has them all.
 */
export class LiveWindow {
  readonly #maxMs: number;
  readonly #onLeft: (segment: WindowSegment) => void;
  readonly #segments: WindowSegment[] = [];
  #durationMs = 0;
  #first = 0;
  #discontinuities = 0;

  /** @param onLeft a segment is in no playlist any more; players may still be fetching it */
  constructor(maxMs: number, onLeft: (segment: WindowSegment) => void) {
    this.#maxMs = maxMs;
    this.#onLeft = onLeft;
  }

  get segments(): readonly WindowSegment[] {
    return this.#segments;
  }

  /** Number of the first segment (EXT-X-MEDIA-SEQUENCE). */
  get firstSequence(): number {
    return this.#first;
  }

  /** How many times the stream was interrupted before the first segment (EXT-X-DISCONTINUITY-SEQUENCE). */
  get firstDiscontinuity(): number {
    return this.#discontinuities;
  }

  add(segment: WindowSegment): void {
    this.#segments.push(segment);
    this.#durationMs += segment.durationMs;
    while (this.#durationMs - this.#segments[0]!.durationMs >= this.#maxMs) this.#drop();
  }

  /** Begins after the last segment of a recording, whose objects go. */
  forget(recording: string): void {
    const last = this.#segments.findLastIndex((segment) => segment.recording === recording);
    for (let index = 0; index <= last; index++) this.#drop();
  }

  #drop(): void {
    const left = this.#segments.shift()!;
    const next = this.#segments[0];
    this.#first++;
    this.#durationMs -= left.durationMs;
    if (next && isInterrupted(left, next)) this.#discontinuities++;
    this.#onLeft(left);
  }
}

/** Whether a player must begin anew between two segments: another init segment, or something lost. */
export function isInterrupted(
  before: Pick<WindowSegment, 'number' | 'part'> & { readonly recording?: string },
  after: Pick<WindowSegment, 'number' | 'part'> & { readonly recording?: string },
): boolean {
  return before.recording !== after.recording || before.part !== after.part || before.number + 1 !== after.number;
}
