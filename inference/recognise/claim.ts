import type { RecognitionThresholds } from './face-embedder.ts';
import type { KnownPeople, PersonMatch } from './known-people.ts';
import { LOOKS_TO_DECIDE } from './look-schedule.ts';

/** The mean of a track's looks must be nearer to a person than to the next one by so much. */
const MIN_MARGIN = 0.01;

/**
 * Who of some people a track is. It takes three good looks that agree, and their mean, to be told; one good look that
 * disagrees, or a mean that has gone too far, and it is not told any more.
 */
export class Claim {
  readonly #thresholds: RecognitionThresholds;
  /** People that this track was told not to be. */
  readonly #denied = new Set<string>();
  #candidate: string | null = null;
  #agreeing = 0;
  #nearest: PersonMatch | null = null;
  #person: string | null = null;
  #similarity = 0;
  #likeness = 0;

  constructor(thresholds: RecognitionThresholds) {
    this.#thresholds = thresholds;
  }

  /** Who it is told to be; null for nobody, or not yet. */
  get person(): string | null {
    return this.#person;
  }

  /** Of the mean of its looks to that person, 0..1. */
  get similarity(): number {
    return this.#similarity;
  }

  /** How near the mean of its looks comes to a person, 0..1, where it may still be told to be them; else 0. */
  nearnessTo(person: string): number {
    if (this.#denied.has(person)) return 0;
    if (this.#person === person) return this.#similarity;
    const isNear = this.#nearest?.id === person && this.#nearest.similarity >= this.#thresholds.accept;
    return isNear ? this.#nearest!.similarity : 0;
  }

  /** Who it comes near to, told to be them or not. */
  get near(): string | null {
    return this.#person ?? this.#nearest?.id ?? null;
  }

  /** How like somebody the latest look was, or the mean of all, 0..1: the larger. */
  get likeness(): number {
    return this.#likeness;
  }

  /** Takes in one good look, which the mean holds already. @returns false where it disagrees with who it was told to be */
  look(embedding: Float32Array, mean: Float32Array, people: KnownPeople): boolean {
    const { accept, track, reject } = this.#thresholds;
    const isOther = (id: string, person: string): boolean => !people.areOne(id, person, track);
    const seen = people.best(embedding);
    this.#nearest = people.nearest(mean);
    this.#likeness = Math.max(seen?.similarity ?? 0, this.#nearest?.similarity ?? 0);
    const agrees = seen && seen.similarity >= accept && !this.#denied.has(seen.id) ? seen : null;
    if (this.#person !== null) {
      const own = people.similarityTo(this.#person, embedding);
      this.#similarity = people.nearnessTo(this.#person, mean);
      const isAnother = agrees && agrees.similarity - own >= MIN_MARGIN && isOther(agrees.id, this.#person);
      // Written so that NaN disagrees.
      if (!isAnother && own >= reject && this.#similarity >= accept) return true;
      this.reset();
      return false;
    }
    if (agrees && this.#candidate !== null && !isOther(agrees.id, this.#candidate)) this.#agreeing++;
    else if (agrees || !(seen && seen.similarity >= reject)) {
      this.#candidate = agrees?.id ?? null;
      this.#agreeing = agrees ? 1 : 0;
    }
    this.#decide(mean, people);
    return true;
  }

  #decide(mean: Float32Array, people: KnownPeople): void {
    const { track } = this.#thresholds;
    const nearest = this.#nearest;
    if (this.#agreeing < LOOKS_TO_DECIDE || this.#candidate === null) return;
    if (!nearest || this.#denied.has(nearest.id)) return;
    if (!people.areOne(nearest.id, this.#candidate, track) || !(nearest.similarity >= track)) return;
    if (people.margin(nearest.id, mean, track) < MIN_MARGIN) return;
    this.#person = nearest.id;
    this.#similarity = nearest.similarity;
  }

  /** It is this person, as somebody who knows has said. */
  tell(person: string): void {
    this.#denied.delete(person);
    this.#person = person;
    this.#similarity = 1;
  }

  /** It is not this person, whatever it looks like: somebody else surely is. */
  deny(person: string): void {
    this.#denied.add(person);
    this.reset();
  }

  /** Nobody is sure any more whose face it is. */
  reset(): void {
    this.#candidate = null;
    this.#agreeing = 0;
    this.#nearest = null;
    this.#person = null;
    this.#similarity = 0;
    this.#likeness = 0;
  }
}
