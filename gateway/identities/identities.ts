import { createHash, randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { ImageEmbeddings, ImageEngine } from '../../inference/image/image-engine.ts';
import type { KnownPerson } from '../../inference/policy.ts';
import { GatewayError, isInputFault } from '../errors.ts';
import { type Page, pageOf } from '../live/cursor.ts';
import { Turns } from '../live/turns.ts';
import type { Vault } from '../secrets/vault.ts';
import type { EnrolmentForm } from './enrolment-form.ts';
import type { IdentityStore, SealedIdentity } from './identity-store.ts';
import { type Portrait, portraitOf, type RefusedPhoto } from './portrait.ts';
import { SealedPerson, sealPerson } from './sealed-person.ts';

/** A face is searched for among so many in less than a millisecond. */
export const MAX_IDENTITIES = 10_000;

/** A recogniser, told apart from every other one. */
export interface RecogniserId {
  /** In the manifest. */
  readonly name: string;
  /** Of its file, in hex. */
  readonly sha256: string;
}

export interface IdentitiesOptions {
  readonly store: IdentityStore;
  readonly vault: Vault;
  readonly images: Pick<ImageEngine, 'embedFaces'>;
  readonly recogniser: RecogniserId;
  readonly log: Logger;
  readonly maxIdentities?: number;
}

/** A person who is enrolled. */
export interface Identity {
  readonly id: string;
  /** Null where it can't be read any more. */
  readonly name: string | null;
  /** The recogniser that the embeddings are of. */
  readonly model: string;
  /** Whether that is the recogniser in use, and the embeddings can be read. */
  readonly usable: boolean;
  /** One for each photo, in the order in which they were given: 0..1, more is better. */
  readonly qualities: readonly number[];
  readonly createdAt: Date;
}

/** Somebody who is about to be erased. */
export interface LeavingPerson {
  readonly id: string;
  /** SHA-256 of each photo's file, in hex. */
  readonly photoHashes: readonly string[];
}

interface Entry {
  readonly identity: Identity;
  /** With no embeddings where it is not usable. */
  readonly person: KnownPerson;
  readonly photoHashes: readonly string[];
  readonly sealed: SealedPerson | null;
}

/**
 * The people who are enrolled: rows that last, sealed, and in memory what streams are to know them by. What is in memory
 * is overwritten when a person is erased.
 */
export class Identities {
  readonly #options: IdentitiesOptions;
  readonly #entries = new Map<string, Entry>();
  /** Who is being erased: known to nobody any more. */
  readonly #leaving = new Set<string>();
  readonly #turns = new Turns();
  readonly #beforeErasure = new Set<(leaving: LeavingPerson) => Promise<void>>();
  #enrolling = 0;

  /** Takes up everybody who is stored. */
  static async create(options: IdentitiesOptions): Promise<Identities> {
    const identities = new Identities(options);
    for (const sealed of await options.store.list()) identities.#restore(sealed);
    identities.#tell();
    return identities;
  }

  private constructor(options: IdentitiesOptions) {
    this.#options = options;
  }

  /**
   * Enrols a person, from all of the photos or not at all. A photo is of its largest face.
   * @param signal whoever asked went away: nothing is stored
   * @throws GatewayError 'unprocessable' with the refused photos (RefusedPhoto) as its details; 'too-many';
   *   'upload-incomplete'; InferenceError where the engine fails
   */
  async enrol({ name, photos }: EnrolmentForm, signal: AbortSignal): Promise<Identity> {
    const { maxIdentities = MAX_IDENTITIES, vault, store, recogniser, log } = this.#options;
    if (this.#entries.size + this.#enrolling >= maxIdentities) {
      const message = `there are ${maxIdentities} identities, and no more may be made; delete one`;
      throw new GatewayError('too-many', message, { retryAfterSeconds: 60 });
    }
    this.#enrolling++;
    try {
      const portraits = await this.#portraits(photos, signal);
      const id = randomBytes(8).toString('hex');
      const kept = portraits.map((portrait, i) => ({ ...portrait, photoHash: hashOf(photos[i]!) }));
      const model = { model: recogniser.name, modelSha256: recogniser.sha256 };
      const sealed = sealPerson({ id, name, ...model, createdAt: new Date(), photos: kept }, vault);
      for (const { embedding } of portraits) embedding.fill(0);
      await store.create(sealed);
      log.info({ identity: id, photos: photos.length }, 'identity enrolled');
      const images = sealed.images.map((image) => ({ ...image, sealedThumbnail: null }));
      return this.#restore({ ...sealed, images }).identity;
    } finally {
      this.#enrolling--;
    }
  }

  /** @throws GatewayError 'identity-not-found' */
  get(id: string): Identity {
    return this.#entry(id).identity;
  }

  /** In the order in which they were enrolled. @throws GatewayError 'bad-request' for a cursor that is none of ours */
  list(limit: number, cursor?: string): Page<Identity> {
    const all = [...this.#entries.values()].map(({ identity }) => identity);
    return pageOf(all, (identity) => identity, limit, cursor);
  }

  /**
   * A small JPEG of the photo of the best quality.
   * @throws GatewayError 'identity-not-found' | 'not-found' where there is none
   */
  async thumbnail(id: string): Promise<Uint8Array> {
    const { identity, sealed } = this.#entry(id);
    const best = identity.qualities.indexOf(Math.max(...identity.qualities));
    const bytes = best < 0 ? null : await this.#options.store.thumbnail(id, best);
    if (!bytes || !sealed) throw new GatewayError('not-found', 'there is no thumbnail of this person');
    return sealed.openThumbnail(bytes, best);
  }

  /**
   * Erases a person: from whatever asked to be told before (`beforeErasure`), from the store and from memory. Where a
   * step fails, the person stays and can be erased again.
   * @throws GatewayError 'identity-not-found'; what a step does
   */
  remove(id: string): Promise<void> {
    return this.#turns.take(id, async () => {
      const { photoHashes, person } = this.#entry(id);
      const { store, log } = this.#options;
      this.#leaving.add(id);
      try {
        for (const leave of this.#beforeErasure) await leave({ id, photoHashes });
        await store.remove(id);
        this.#entries.delete(id);
        for (const embedding of person.embeddings) embedding.fill(0);
        log.info({ identity: id }, 'identity erased');
      } finally {
        this.#leaving.delete(id);
      }
    });
  }

  /** `listener` is told of everybody who is to be erased; when it is done, nothing of the person is left with it. */
  beforeErasure(listener: (leaving: LeavingPerson) => Promise<void>): void {
    this.#beforeErasure.add(listener);
  }

  /** Whether somebody by this id is enrolled, and not about to be erased. */
  has(id: string): boolean {
    return this.#entries.has(id) && !this.#leaving.has(id);
  }

  /** The name of somebody enrolled; null where there is none. */
  nameOf(id: string): string | null {
    return this.has(id) ? this.#entries.get(id)!.identity.name : null;
  }

  /** Who is recognised as this person: null where nobody can be, now. Its embeddings are borrowed. */
  personOf(id: string): KnownPerson | null {
    const entry = this.has(id) ? this.#entries.get(id)! : null;
    return entry?.identity.usable ? entry.person : null;
  }

  /** The recogniser that everybody's embeddings are of whom `personOf` gives. */
  get recogniser(): string {
    return this.#options.recogniser.name;
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (!entry) throw new GatewayError('identity-not-found', 'nobody is enrolled by this id');
    return entry;
  }

  /** @throws GatewayError 'unprocessable' where one can't be used */
  async #portraits(photos: readonly Uint8Array[], signal: AbortSignal): Promise<Portrait[]> {
    const portraits: Portrait[] = [];
    const refused: RefusedPhoto[] = [];
    for (const [index, photo] of photos.entries()) {
      const portrait = await this.#portrait(photo, signal);
      if ('code' in portrait) refused.push({ index, ...portrait });
      else portraits.push(portrait);
    }
    if (signal.aborted) throw goneAway();
    if (refused.length === 0) return portraits;
    for (const { embedding } of portraits) embedding.fill(0);
    const message = `${refused.length} of ${photos.length} photos can not be used; nothing was stored`;
    throw new GatewayError('unprocessable', message, { details: refused });
  }

  async #portrait(photo: Uint8Array, signal: AbortSignal): Promise<Portrait | Omit<RefusedPhoto, 'index'>> {
    let found: ImageEmbeddings;
    try {
      found = await this.#options.images.embedFaces(photo, { thumbnails: true, signal });
    } catch (error) {
      if (!isInputFault(error)) throw error;
      if (error.code === 'aborted') throw goneAway();
      return { code: 'not-an-image', message: error.message };
    }
    if (found.model !== this.#options.recogniser.name) {
      throw new GatewayError('internal', 'the recogniser changed while the server runs; start it again');
    }
    return portraitOf(found.faces);
  }

  #restore(sealed: SealedIdentity): Entry {
    const entry = this.#open(sealed);
    this.#entries.set(sealed.id, entry);
    return entry;
  }

  #open(sealed: SealedIdentity): Entry {
    const { id, model, modelSha256, createdAt, images } = sealed;
    const { recogniser, vault, log } = this.#options;
    const plain = { id, model, createdAt, qualities: images.map(({ quality }) => quality) };
    try {
      const person = new SealedPerson(sealed, vault);
      const { name } = person;
      const faces = person.faces();
      const usable = model === recogniser.name && modelSha256 === recogniser.sha256;
      // Never compared with another recogniser's, so not kept either.
      if (!usable) for (const { embedding } of faces) embedding.fill(0);
      const embeddings = usable ? faces.map(({ embedding }) => embedding) : [];
      return {
        identity: Object.freeze({ ...plain, name, usable }),
        person: Object.freeze({ id, embeddings }),
        photoHashes: faces.map(({ photoHash }) => photoHash),
        sealed: person,
      };
    } catch (error) {
      // Still there, so that a policy that is about this person stays safe, and so that it can be erased.
      log.error({ identity: id, err: error }, 'identity can not be opened: its row was damaged; enrol the person anew');
      const person = { id, embeddings: [] };
      return { identity: { ...plain, name: null, usable: false }, person, photoHashes: [], sealed: null };
    }
  }

  #tell(): void {
    const { log, recogniser } = this.#options;
    const all = [...this.#entries.values()].map(({ identity }) => identity);
    log.info({ identities: all.length }, 'identities restored');
    const others = all.filter(({ usable, name }) => !usable && name !== null);
    if (others.length === 0) return;
    const models = [...new Set(others.map(({ model }) => model))];
    log.warn(
      { identities: others.length, models, recogniser: recogniser.name },
      'identities were enrolled with another recogniser and can not be used; enrol these people anew',
    );
  }
}

function goneAway(): GatewayError {
  return new GatewayError('upload-incomplete', 'whoever asked went away');
}

function hashOf(photo: Uint8Array): string {
  return createHash('sha256').update(photo).digest('hex');
}
