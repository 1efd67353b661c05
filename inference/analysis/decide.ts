import { InferenceError } from '../errors.ts';
import type { KnownPerson, PeoplePolicy } from '../policy.ts';
import { LOOKS_TO_DECIDE } from '../recognise/look-schedule.ts';
import { similarity } from '../recognise/similarity.ts';
import type { Analysis, FrameRange, GoodLook, Person, Tracklet, Verdict } from './analysis.ts';
import { overlap } from './cluster.ts';
import { meanOf } from './mean-of-looks.ts';

/**
 * To be shown, a mean must come this part of the way from the threshold of tracks to sameness. `bench:identity`: of 38,000
 * pairs of a tracklet and a stranger's photos, most of them in crowds, seven come past the threshold itself, and none here.
 */
const SURER = 0.1;
/** A face is shown for so long before and after a look that agrees. Seconds. */
const REACH_SECONDS = 1;
/** A face must be so much more like the person than anybody else on screen is: else nobody knows which it is. */
const MIN_MARGIN = 0.01;

/** Looks of one tracklet in a row that all pass, and the frames that they speak for. */
interface Run extends FrameRange {
  readonly looks: readonly GoodLook[];
  readonly mean: Float32Array;
}

/**
 * Whom a policy lets be seen, by all looks at each tracklet. Who is named in a verdict that is not visible was recognised
 * and is covered. What no verdict is about is covered.
 * @throws InferenceError 'bad-options' where the policy's embeddings are another recogniser's, or somebody has none
 */
export function decide(analysis: Analysis, policy: PeoplePolicy): Verdict[] {
  if (policy.recogniser !== analysis.recogniser) {
    const message = `the people are known to ${policy.recogniser}, the file was looked at by ${analysis.recogniser}`;
    throw new InferenceError('bad-options', `${message}; one and the same must do both`);
  }
  // Nobody is like somebody who is not known: in `only` that would show the very person who is named.
  const stranger = policy.people.find(({ embeddings }) => embeddings.length === 0);
  if (stranger) throw new InferenceError('bad-options', `nothing is known of ${stranger.id}`);
  const isVisible = policy.mode === 'except';
  const wholes = wholesOf(analysis);
  const verdicts = analysis.tracklets.flatMap((tracklet, index) =>
    recognised(analysis, tracklet, wholes.get(index)!, policy.people).map((verdict) => ({
      ...verdict,
      visible: isVisible,
    })),
  );
  if (policy.mode === 'except') return verdicts;
  return [...verdicts, ...analysis.tracklets.flatMap((tracklet) => others(analysis, tracklet, policy.people))];
}

/** Shows those people of an analysis whom someone chose by their pictures. */
export function showPeople(analysis: Analysis, isVisible: (person: Person) => boolean): Verdict[] {
  const reach = Math.ceil(analysis.fps * REACH_SECONDS);
  return analysis.people.filter(isVisible).flatMap(({ tracklets }) =>
    tracklets.flatMap((index) => {
      const tracklet = analysis.tracklets[index]!;
      return reached(tracklet, tracklet, reach).map((frames) => ({
        ...frames,
        track: tracklet.track,
        identity: null,
        visible: true,
      }));
    }),
  );
}

/** By tracklet, what all looks at the person whom it shows say together, in whatever part of the file. */
function wholesOf({ tracklets, people }: Analysis): Map<number, Float32Array> {
  const wholes = new Map(tracklets.map(({ mean }, index) => [index, mean] as const));
  for (const person of people) {
    const whole = meanOf(person.tracklets.flatMap((index) => tracklets[index]!.looks));
    if (whole) for (const index of person.tracklets) wholes.set(index, whole);
  }
  return wholes;
}

/** The parts of a tracklet that are one of the people, and which. */
function recognised(
  analysis: Analysis,
  tracklet: Tracklet,
  whole: Float32Array,
  people: readonly KnownPerson[],
): Omit<Verdict, 'visible'>[] {
  const { accept, track } = analysis.thresholds;
  const sure = track + SURER * (1 - track);
  const isOfWhole = similarity(tracklet.mean, whole) >= sure;
  const reach = Math.ceil(analysis.fps * REACH_SECONDS);
  const found = new Map<number, { person: KnownPerson; similarity: number; run: Run }>();
  for (const person of people) {
    for (const run of runsOf(tracklet, ({ embedding }) => likeness(embedding, person) >= accept)) {
      const alike = likeness(run.mean, person);
      // What the person's other appearances say counts where its own looks are not against it.
      const isAlike = alike >= sure || (alike >= accept && isOfWhole && likeness(whole, person) >= sure);
      const isSure =
        isAlike && run.looks.length >= LOOKS_TO_DECIDE && !hasRival(analysis, tracklet, run, person, alike);
      const known = found.get(run.firstFrame);
      if (isSure && (!known || alike > known.similarity)) found.set(run.firstFrame, { person, similarity: alike, run });
    }
  }
  return [...found.values()].flatMap(({ person, run }) =>
    reached(tracklet, run, reach).map((frames) => ({ ...frames, track: tracklet.track, identity: person.id })),
  );
}

/** Whether somebody else who is on screen meanwhile is about as much like the person. */
function hasRival(analysis: Analysis, tracklet: Tracklet, run: Run, person: KnownPerson, alike: number): boolean {
  return analysis.tracklets.some(
    (other) => other !== tracklet && overlap(run, other) && !(alike - likeness(other.mean, person) >= MIN_MARGIN),
  );
}

/** The parts of a tracklet that surely are none of the people. */
function others(analysis: Analysis, tracklet: Tracklet, people: readonly KnownPerson[]): Verdict[] {
  const { reject } = analysis.thresholds;
  const isOther = (embedding: Float32Array) => people.every((person) => likeness(embedding, person) < reject);
  return runsOf(tracklet, (look) => isOther(look.embedding))
    .filter(({ looks, mean }) => looks.length >= LOOKS_TO_DECIDE && isOther(mean))
    .flatMap((run) => reached(tracklet, run, Math.ceil(analysis.fps * REACH_SECONDS)))
    .map((frames) => ({ ...frames, track: tracklet.track, identity: null, visible: true }));
}

/** Similarity to what is known best of a person. */
function likeness(embedding: Float32Array, { embeddings }: KnownPerson): number {
  return embeddings.reduce((most, known) => Math.max(most, similarity(embedding, known)), 0);
}

function runsOf(tracklet: Tracklet, passes: (look: GoodLook) => boolean): Run[] {
  const runs: Run[] = [];
  let looks: GoodLook[] = [];
  let firstFrame = tracklet.firstFrame;
  const end = (lastFrame: number): void => {
    const mean = meanOf(looks);
    if (mean) runs.push({ looks, mean, firstFrame, lastFrame });
    looks = [];
  };
  for (const look of tracklet.looks) {
    if (passes(look)) {
      // Between a look that does not pass and one that does nobody knows who it is.
      if (looks.length === 0 && look !== tracklet.looks[0]) firstFrame = look.frame;
      looks.push(look);
    } else end(looks.at(-1)?.frame ?? look.frame);
  }
  end(tracklet.lastFrame);
  return runs;
}

/** The frames of a part of a tracklet that are near one of its looks. */
function reached(
  { looks }: Tracklet,
  { firstFrame, lastFrame }: FrameRange,
  reach: number,
): { firstFrame: number; lastFrame: number }[] {
  const parts: { firstFrame: number; lastFrame: number }[] = [];
  for (const { frame } of looks) {
    if (frame < firstFrame || frame > lastFrame) continue;
    const [from, to] = [Math.max(firstFrame, frame - reach), Math.min(lastFrame, frame + reach)];
    const last = parts.at(-1);
    if (last && from <= last.lastFrame + 1) last.lastFrame = to;
    else parts.push({ firstFrame: from, lastFrame: to });
  }
  return parts;
}
