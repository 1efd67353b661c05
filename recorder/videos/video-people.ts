import type { Analysis, FrameRange, Person } from '../../inference/analysis/analysis.ts';
import { makeUnit } from '../../inference/recognise/similarity.ts';

/** Somebody who appears in a video, as an operator sees them. */
export interface VideoPerson extends FrameRange {
  /** Counts from 1 in the order of appearance. */
  readonly face: number;
  /** When, in milliseconds from the first frame; an appearance each. */
  readonly ranges: readonly (readonly [startMs: number, endMs: number])[];
  /** How many good looks there are. */
  readonly looks: number;
  /** What they say together, of unit length; null where that has no direction. */
  readonly mean: Float32Array | null;
  /** A JPEG without metadata. */
  readonly thumbnail: Uint8Array | null;
}

/** Who appears in a video; the embeddings in it are the holder's to erase. */
export interface VideoPeople {
  /** From which similarity on means of three looks and more are the same person's. */
  readonly sameFrom: number;
  readonly people: readonly VideoPerson[];
}

/** The part of an analysis that is asked for when somebody looks at who is in the video. */
export function videoPeopleOf(analysis: Analysis): VideoPeople {
  return {
    sameFrom: analysis.thresholds.track,
    people: analysis.people.map((person) => ({
      face: person.id,
      firstFrame: person.firstFrame,
      lastFrame: person.lastFrame,
      ranges: person.ranges,
      ...meanOf(analysis, person),
      thumbnail: person.thumbnail,
    })),
  };
}

export function eraseEmbeddings({ people }: VideoPeople): void {
  for (const { mean } of people) mean?.fill(0);
}

function meanOf({ tracklets }: Analysis, person: Person): Pick<VideoPerson, 'looks' | 'mean'> {
  const own = person.tracklets.flatMap((index) => tracklets[index]!.looks);
  const mean = new Float32Array(own[0]?.embedding.length ?? 0);
  for (const { embedding } of own) for (const [i, value] of embedding.entries()) mean[i]! += value;
  return { looks: own.length, mean: makeUnit(mean) ? mean : null };
}
