import type { LiveFace } from '../../inference/live/live-engine.ts';

/** A face that was on screen from one moment to another. */
export interface FaceRange {
  readonly track: number;
  /** The person it was told to be. */
  readonly identity: string | null;
  readonly visible: boolean;
  readonly startMs: number;
  readonly endMs: number;
}

/** Of one segment; more are left out, and counted. */
const MAX_RANGES = 1000;

type SeenFace = Pick<LiveFace, 'track' | 'visible' | 'identity'>;

/** Follows who is on screen, and tells it piece by piece. */
export class FaceRanges {
  #open = new Map<number, FaceRange>();
  #closed: FaceRange[] = [];
  #omitted = 0;

  /** Ranges that had no room. */
  get omitted(): number {
    return this.#omitted;
  }

  /** @param faces all that are on screen from `timeMs` on */
  update(timeMs: number, faces: readonly SeenFace[]): void {
    const open = new Map<number, FaceRange>();
    for (const { track, identity, visible } of faces) {
      const before = this.#open.get(track);
      const who = identity?.id ?? null;
      const isSame = before?.identity === who && before.visible === visible;
      const startMs = isSame ? before.startMs : timeMs;
      open.set(track, { track, identity: who, visible, startMs, endMs: timeMs });
    }
    for (const range of this.#open.values()) {
      const after = open.get(range.track);
      if (after?.startMs !== range.startMs) this.#close(range, timeMs);
    }
    this.#open = open;
  }

  /** @returns what was on screen between two moments, clipped to them; what was before is forgotten */
  take(startMs: number, endMs: number): FaceRange[] {
    const ranges = [...this.#closed, ...[...this.#open.values()].map((range) => ({ ...range, endMs }))];
    this.#closed = this.#closed.filter((range) => range.endMs > endMs);
    return ranges
      .map((range) => ({
        ...range,
        startMs: Math.round(Math.max(range.startMs, startMs)),
        endMs: Math.round(Math.min(range.endMs, endMs)),
      }))
      .filter((range) => range.endMs > range.startMs);
  }

  #close(range: FaceRange, endMs: number): void {
    if (this.#closed.length >= MAX_RANGES) this.#omitted++;
    else if (endMs > range.startMs) this.#closed.push({ ...range, endMs });
  }
}

/** One face through a recording. */
export interface TimelineTrack {
  readonly track: number;
  readonly identity: string | null;
  readonly visible: boolean;
  readonly ranges: [startMs: number, endMs: number][];
}

/** Ranges closer than this are one: segments end between pictures. */
const JOIN_MS = 100;

/** Puts together what was told piece by piece, in the order of time. */
export function timelineOf(ranges: Iterable<FaceRange>): TimelineTrack[] {
  const tracks = new Map<string, TimelineTrack>();
  for (const { track, identity, visible, startMs, endMs } of ranges) {
    const key = `${track} ${visible} ${identity}`;
    const known = tracks.get(key);
    const last = known?.ranges.at(-1);
    if (last && startMs - last[1] <= JOIN_MS) last[1] = Math.max(last[1], endMs);
    else if (known) known.ranges.push([startMs, endMs]);
    else tracks.set(key, { track, identity, visible, ranges: [[startMs, endMs]] });
  }
  return [...tracks.values()];
}
