import type { PeoplePolicy } from '../policy.ts';
import type { Cover } from '../track/coverage.ts';
import { Pins } from '../track/pins.ts';
import type { SeenFace } from '../track/tracker.ts';
import { Claim } from './claim.ts';
import { FaceContinuity } from './face-continuity.ts';
import type { RecognitionThresholds } from './face-embedder.ts';
import type { FaceReason, FaceVerdict } from './face-verdict.ts';
import { KnownPeople } from './known-people.ts';
import { LOOKS_TO_DECIDE } from './look-schedule.ts';
import { MeanLook } from './mean-look.ts';
import { SessionPeople } from './session-people.ts';
import { similarity } from './similarity.ts';

/** What the looks of one pipeline come from. */
export interface RecogniserFacts {
  /** Its name in the manifest. */
  readonly name: string;
  readonly dimension: number;
  readonly thresholds: RecognitionThresholds;
}

/** Where two tracks come near to one person, the better one must be better by so much; until then neither is them. */
const CLEARLY_BETTER = 0.01;
/** Nobody stays visible on what was seen longer ago than so many frames. */
const MAX_STALE_FRAMES = 90;

/** What the looks at one track say. */
interface Looked {
  readonly mean: MeanLook;
  readonly listed: Claim;
  readonly session: Claim;
  lastGoodFrame: number;
  /** Good looks in a row that were like none of the listed people. */
  unlike: number;
  /** How like somebody who is to be covered the latest look was, or the mean of all, 0..1: the larger. */
  likeHidden: number;
}

/**
 * Who of those on screen is seen: what looks at faces say, who is listed, and whom somebody pinned or covered in this
 * session. A face is seen only in frames between two sightings of it, while it is sure whose it is.
 */
export class PeopleOnScreen {
  readonly #continuity = new FaceContinuity();
  readonly #pins = new Pins();
  readonly #listed = new KnownPeople();
  readonly #session = new SessionPeople();
  readonly #looked = new Map<number, Looked>();
  /** Tracks of whom somebody said something, before it is known who they are. */
  readonly #wanted = new Map<number, boolean>();
  /** Tracks that somebody covered, and listed people likewise. */
  readonly #hiddenTracks = new Set<number>();
  readonly #hiddenPeople = new Set<string>();
  #recogniser: RecogniserFacts | null = null;
  #policy: Pick<PeoplePolicy, 'mode' | 'recogniser'> | null = null;
  #listProblem: string | null = null;

  /** Whether it matters who anybody is. */
  get wantsLooks(): boolean {
    return this.#policy !== null || this.#session.visible.size > 0 || [...this.#wanted.values()].includes(true);
  }

  /** Why nobody is seen though people are listed, one line; null where nothing is wrong. */
  get problem(): string | null {
    if (this.#listProblem) return this.#listProblem;
    const [wanted, is] = [this.#policy?.recogniser, this.#recogniser?.name];
    if (wanted === undefined || is === undefined || wanted === is) return null;
    return `people were enrolled with ${wanted}, but ${is} looks at faces here: nobody is shown until they are enrolled anew`;
  }

  /** From the next frame that leaves on. Embeddings are copied; those of people who are not in it any more are erased. */
  setPolicy(policy: PeoplePolicy | null): void {
    const isSameKind = policy?.mode === this.#policy?.mode && policy?.recogniser === this.#policy?.recogniser;
    this.#policy = policy && { mode: policy.mode, recogniser: policy.recogniser };
    this.#listProblem = null;
    const before = this.#listed.size;
    let same: ReadonlySet<string> = new Set();
    try {
      same = this.#listed.set(policy?.people ?? []);
    } catch (error) {
      this.#listProblem = `the people of the policy can't be used: ${(error as Error).message}`;
    }
    const isUnchanged = isSameKind && same.size === before && before === this.#listed.size;
    if (isUnchanged) return;
    for (const looked of this.#looked.values()) {
      looked.unlike = 0;
      const { person } = looked.listed;
      if (!isSameKind || person === null || !same.has(person)) looked.listed.reset();
    }
  }

  /** Looks come from this recogniser from now on. */
  setRecogniser(recogniser: RecogniserFacts): void {
    this.#recogniser = recogniser;
  }

  /** Takes in what a detection saw. Frames go forward. */
  see(frame: number, faces: readonly SeenFace[]): void {
    for (const track of this.#continuity.see(frame, faces)) this.#forgetWho(track);
    for (const track of this.#looked.keys()) if (!this.#continuity.has(track)) this.#forgetTrack(track);
    for (const track of [...this.#wanted.keys(), ...this.#hiddenTracks]) {
      if (!this.#continuity.has(track)) this.#forgetTrack(track);
    }
  }

  /** Frames are missing: who follows may be anybody. */
  gap(): void {
    for (const track of this.#continuity.breakAll()) this.#forgetWho(track);
  }

  /** A look at this track failed, or all of them do: it is covered until good looks say again who it is. */
  lookFailed(track?: number): void {
    for (const each of track === undefined ? [...this.#looked.keys()] : [track]) this.#lose(each);
  }

  /** Good looks since it was last sure whose face the track follows. */
  goodLooks(track: number): number {
    return this.#looked.get(track)?.mean.count ?? 0;
  }

  /**
   * Takes in one good look at a track, of unit length and this recogniser's. It may come later than the frame it was
   * taken of; where the track may have changed its face since, it says nothing.
   */
  look(track: number, frame: number, embedding: Float32Array): void {
    const recogniser = this.#recogniser;
    if (!recogniser || embedding.length !== recogniser.dimension || frame < this.#continuity.since(track)) return;
    const { thresholds } = recogniser;
    const looked = this.#looked.get(track) ?? makeLooked(thresholds);
    this.#looked.set(track, looked);
    if (!embedding.every(Number.isFinite)) {
      this.#lose(track, frame);
      return;
    }
    const before = looked.mean.embedding;
    // One that is not like those before it is somebody else's, or theirs were.
    const isAnother = before !== null && similarity(before, embedding) < thresholds.accept;
    if (isAnother) this.#pins.set(track, false);
    const isStale = before !== null && frame - looked.lastGoodFrame > MAX_STALE_FRAMES;
    if (isAnother || isStale) this.#lose(track, frame);
    const mean = looked.mean.add(embedding);
    looked.lastGoodFrame = frame;
    if (!looked.session.look(embedding, mean, this.#session.visible)) this.#pins.set(track, false);
    const { hidden } = this.#session;
    looked.likeHidden = Math.max(hidden.best(embedding)?.similarity ?? 0, hidden.nearest(mean)?.similarity ?? 0);
    if (this.#listUsable) this.#lookAtListed(looked, embedding, mean, thresholds);
    this.#settleWanted(track, looked);
    this.#settleContests((each) => each.listed);
    this.#settleContests((each) => each.session);
  }

  /** Shows or covers a track's face now, and the person whose it is for the session, once it is known who that is. */
  pin(track: number, visible: boolean): void {
    this.#pins.set(track, visible);
    const looked = this.#looked.get(track);
    const person = looked?.listed.person ?? null;
    if (visible) {
      this.#hiddenTracks.delete(track);
      if (person !== null) this.#hiddenPeople.delete(person);
    } else {
      this.#hiddenTracks.add(track);
      if (person !== null) this.#hiddenPeople.add(person);
    }
    this.#wanted.set(track, visible);
    if (looked) this.#settleWanted(track, looked);
  }

  /** What becomes of the faces of one frame that leaves, by track. Frames go forward. */
  verdictsOf(faces: readonly Cover[], frame: number): ReadonlyMap<number, FaceVerdict> {
    const pinned = new Set(this.#pins.shownOf(faces, frame).map(({ track }) => track));
    for (const { track, box } of faces) {
      if (!this.#looked.has(track)) continue;
      if (this.#continuity.mayBeMistaken(track, box, faces)) this.#lose(track, this.#continuity.next);
    }
    const verdicts = new Map<number, FaceVerdict>();
    for (const { track } of faces) {
      if (!verdicts.has(track)) verdicts.set(track, this.#verdictOn(track, frame, pinned.has(track)));
    }
    return verdicts;
  }

  /** Erases everyone. */
  close(): void {
    this.#listed.clear();
    this.#session.clear();
    for (const track of this.#looked.keys()) this.#forgetTrack(track);
  }

  get #listUsable(): boolean {
    return this.#policy !== null && this.#policy.recogniser === this.#recogniser?.name && this.#listProblem === null;
  }

  #lookAtListed(looked: Looked, embedding: Float32Array, mean: Float32Array, { reject }: RecognitionThresholds): void {
    try {
      looked.listed.look(embedding, mean, this.#listed);
      looked.unlike = looked.listed.likeness < reject ? looked.unlike + 1 : 0;
    } catch (error) {
      this.#listProblem = `the people of the policy can't be compared with: ${(error as Error).message}`;
      for (const { listed } of this.#looked.values()) listed.reset();
    }
  }

  #verdictOn(track: number, frame: number, isPinned: boolean): FaceVerdict {
    const looked = this.#looked.get(track);
    const isSure =
      looked !== undefined &&
      this.#continuity.holds(track, frame) &&
      frame - looked.lastGoodFrame <= MAX_STALE_FRAMES &&
      this.#recogniser !== null;
    const person = isSure ? looked.listed.person : null;
    const identity = looked && person !== null ? { id: person, similarity: looked.listed.similarity } : null;
    const verdict = (visible: boolean, reason: FaceReason): FaceVerdict => ({ visible, reason, identity });
    if (this.#hiddenTracks.has(track)) return verdict(false, 'hidden');
    if (isPinned) return verdict(true, 'pinned');
    const isLikeHidden = looked !== undefined && looked.likeHidden >= (this.#recogniser?.thresholds.accept ?? 0);
    const isShown = isSure && this.#isAlone(track, looked, (each) => each.session);
    if (isShown && !(isLikeHidden && looked.likeHidden >= looked.session.similarity)) return verdict(true, 'pinned');
    if (isLikeHidden || (person !== null && this.#hiddenPeople.has(person))) return verdict(false, 'hidden');
    if (!this.#policy) return verdict(false, 'policy');
    if (!isSure || !this.#listUsable) return verdict(false, 'unknown');
    if (this.#policy.mode === 'except') {
      const isTheirs = person !== null && this.#isAlone(track, looked, (each) => each.listed);
      return isTheirs ? verdict(true, 'match') : verdict(false, 'unknown');
    }
    if (person !== null) return verdict(false, 'policy');
    return looked.unlike >= LOOKS_TO_DECIDE ? verdict(true, 'not-listed') : verdict(false, 'unknown');
  }

  /** Whether nobody else on screen comes as near, or nearly, to the person that a track was told to be. */
  #isAlone(track: number, looked: Looked, claimOf: (looked: Looked) => Claim): boolean {
    const claim = claimOf(looked);
    const { person } = claim;
    if (person === null) return false;
    for (const [other, theirs] of this.#looked) {
      if (other === track || !this.#continuity.isSeen(other)) continue;
      if (claimOf(theirs).nearnessTo(person) > claim.similarity - CLEARLY_BETTER) return false;
    }
    return true;
  }

  /** Whoever comes near to a person that another track clearly is, is not them. */
  #settleContests(claimOf: (looked: Looked) => Claim): void {
    const seen = [...this.#looked].filter(([track]) => this.#continuity.isSeen(track));
    for (const [track, looked] of seen) {
      const { person } = claimOf(looked);
      if (person === null || !this.#isAlone(track, looked, claimOf)) continue;
      for (const [other, theirs] of seen) {
        if (other !== track && claimOf(theirs).near === person) claimOf(theirs).deny(person);
      }
    }
  }

  /** Makes somebody whom a pin meant a person of the session, once it is known well enough what they look like. */
  #settleWanted(track: number, { mean, session }: Looked): void {
    const visible = this.#wanted.get(track);
    const { embedding, count } = mean;
    if (visible === undefined || !embedding || count < LOOKS_TO_DECIDE || !this.#recogniser) return;
    this.#wanted.delete(track);
    const alike = this.#recogniser.thresholds.track;
    // From here on it is the person that is pinned, and no longer the place.
    this.#pins.set(track, false);
    if (!visible) this.#session.hide(embedding, alike, session.person);
    else if (session.person === null) session.tell(this.#session.show(embedding, alike));
    for (const [other, looked] of this.#looked) {
      const { person } = looked.session;
      if (person !== null && !this.#session.visible.has(person)) looked.session.reset();
      if (visible && other === track) looked.likeHidden = 0;
    }
  }

  /** The face may be another one from `frame` on: all that was known of it is erased. */
  #lose(track: number, frame = this.#continuity.next): void {
    this.#continuity.break(track, frame);
    this.#forgetWho(track);
  }

  #forgetWho(track: number): void {
    // Whoever is to be covered still is, when good looks say who that is.
    if (this.#wanted.get(track)) this.#wanted.delete(track);
    const looked = this.#looked.get(track);
    if (!looked) return;
    looked.mean.clear();
    looked.listed.reset();
    looked.session.reset();
    looked.unlike = 0;
    looked.likeHidden = 0;
    looked.lastGoodFrame = Number.NEGATIVE_INFINITY;
  }

  #forgetTrack(track: number): void {
    this.#forgetWho(track);
    this.#looked.delete(track);
    this.#wanted.delete(track);
    this.#hiddenTracks.delete(track);
  }
}

function makeLooked(thresholds: RecognitionThresholds): Looked {
  return {
    mean: new MeanLook(),
    listed: new Claim(thresholds),
    session: new Claim(thresholds),
    lastGoodFrame: Number.NEGATIVE_INFINITY,
    unlike: 0,
    likeHidden: 0,
  };
}
