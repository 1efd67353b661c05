import type { KnownPerson } from '../../inference/policy.ts';
import { similarity } from '../../inference/recognise/similarity.ts';
import type { VideoPeople, VideoPerson } from './video-people.ts';

/** As few looks tell nobody apart. */
const LOOKS_TO_DECIDE = 3;
/** To be named, a mean must come this part of the way from the threshold of tracks to sameness, as to be shown. */
const SURER = 0.1;
/** It must be so much more like one person's photos than anybody else's, and than anybody else who is on screen with it. */
const MIN_MARGIN = 0.01;

export interface RecognisedPerson {
  readonly id: string;
  /** 0..1 */
  readonly similarity: number;
}

/**
 * Which of the people of a video are enrolled, by all looks at each. It only names: whom a render shows is decided look
 * by look, and more strictly.
 * @param known of the recogniser that looked at the video; borrowed
 * @returns by face
 */
export function recognisePeople(
  { people, sameFrom }: VideoPeople,
  known: readonly KnownPerson[],
): Map<number, RecognisedPerson> {
  const sure = sameFrom + SURER * (1 - sameFrom);
  const found = new Map<number, RecognisedPerson>();
  for (const person of people) {
    const { mean } = person;
    if (!mean || person.looks < LOOKS_TO_DECIDE) continue;
    const [best, second] = known
      .map((one) => ({ one, similarity: likeness(mean, one) }))
      .sort((a, b) => b.similarity - a.similarity);
    if (!best || !(best.similarity >= sure)) continue;
    if (second && best.similarity - second.similarity < MIN_MARGIN) continue;
    const rivals = people.filter((other) => other !== person && areTogether(person, other));
    const isRivalled = rivals.some(
      (other) => other.mean && !(best.similarity - likeness(other.mean, best.one) >= MIN_MARGIN),
    );
    if (!isRivalled) found.set(person.face, { id: best.one.id, similarity: best.similarity });
  }
  return found;
}

/** Whether both are in the picture at some time. */
function areTogether(a: VideoPerson, b: VideoPerson): boolean {
  return a.ranges.some(([from, to]) => b.ranges.some(([start, end]) => from < end && start < to));
}

function likeness(mean: Float32Array, { embeddings }: KnownPerson): number {
  return embeddings.reduce((most, embedding) => Math.max(most, similarity(mean, embedding)), 0);
}
