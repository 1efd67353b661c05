import { KnownPeople } from './known-people.ts';
import { similarity } from './similarity.ts';

/** More people than this of each kind are not kept: the oldest goes. */
const MAX_PEOPLE = 500;

interface SessionPerson {
  readonly id: string;
  readonly embedding: Float32Array;
}

/** People whom somebody asked to see, or to cover, in one session: known by what was seen of them, and by no name. */
export class SessionPeople {
  readonly visible = new KnownPeople();
  readonly hidden = new KnownPeople();
  #shown: SessionPerson[] = [];
  #covered: SessionPerson[] = [];
  #made = 0;

  /** Shows whoever looks like this, and no longer covers those who do. @param alike from where on two are one person */
  show(embedding: Float32Array, alike: number): string {
    this.#covered = keep(this.#covered, (person) => similarity(person.embedding, embedding) < alike);
    this.#shown = [...this.#shown, this.#make(embedding)];
    this.#index();
    return this.#shown.at(-1)!.id;
  }

  /** Covers whoever looks like this, and no longer shows those who do, nor `person`. */
  hide(embedding: Float32Array, alike: number, person: string | null): void {
    this.#shown = keep(this.#shown, (shown) => shown.id !== person && similarity(shown.embedding, embedding) < alike);
    this.#covered = [...this.#covered, this.#make(embedding)];
    this.#index();
  }

  /** Erases everyone. */
  clear(): void {
    this.#shown = keep(this.#shown, () => false);
    this.#covered = keep(this.#covered, () => false);
    this.#index();
  }

  #make(embedding: Float32Array): SessionPerson {
    return { id: `session:${++this.#made}`, embedding: Float32Array.from(embedding) };
  }

  #index(): void {
    const known = ({ id, embedding }: SessionPerson) => ({ id, embeddings: [embedding] });
    this.#shown = latest(this.#shown);
    this.#covered = latest(this.#covered);
    this.visible.set(this.#shown.map(known));
    this.hidden.set(this.#covered.map(known));
  }
}

function latest(people: readonly SessionPerson[]): SessionPerson[] {
  const dropped = people.length - MAX_PEOPLE;
  return keep(people, (_, i) => i >= dropped);
}

/** Those who stay; the others are erased. */
function keep(
  people: readonly SessionPerson[],
  stays: (person: SessionPerson, index: number) => boolean,
): SessionPerson[] {
  return people.filter((person, index) => {
    if (stays(person, index)) return true;
    person.embedding.fill(0);
    return false;
  });
}
