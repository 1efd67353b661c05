import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { LiveSfu, LiveStream, StreamSettings, StreamState } from '../../sfu/stream-types.ts';
import { GatewayError } from '../errors.ts';
import { makeStreamKey, verifyKey } from '../stream-keys.ts';
import { type Page, pageOf } from './cursor.ts';
import type { NewStream, StreamChanges } from './schemas.ts';
import {
  DEFAULT_STREAM_POLICY,
  enginePolicyOf,
  mergePolicy,
  type People,
  reasonToCover,
  type StreamPolicy,
  withoutPerson,
} from './stream-policy.ts';
import { Turns } from './turns.ts';

/** A stream as it is stored. */
export interface StreamRecord extends StreamSettings {
  readonly id: string;
  readonly keyHash: string;
  readonly policy: StreamPolicy;
  readonly createdAt: Date;
}

/** Where streams outlive the process. */
export interface StreamStore {
  /** @throws GatewayError 'stream-exists' */
  create(record: StreamRecord): Promise<unknown>;
  list(): Promise<readonly StreamRecord[]>;
  update(id: string, changes: Partial<Pick<StreamRecord, 'policy' | 'record' | 'push'>>): Promise<unknown>;
  setKeyHash(id: string, keyHash: string): Promise<unknown>;
  remove(id: string): Promise<unknown>;
}

/** What else goes with a stream: pulling its source, for one. Called on the main thread; must not throw. */
export interface StreamHooks {
  /** It was made, or restored at the start. */
  added?(live: LiveStream): void;
  /** Its settings changed. */
  changed?(live: LiveStream): void;
  /** It is about to close for good. */
  removed?(live: LiveStream): void;
}

export interface StreamsOptions {
  readonly sfu: Pick<LiveSfu, 'createStream'>;
  readonly store: StreamStore;
  /** Those whom policies can be about. */
  readonly people: People;
  /** Streams that may exist at a time. */
  readonly maxStreams: number;
  readonly log: Logger;
  readonly hooks?: StreamHooks;
  /** Refuses an address that is not to be pulled from or pushed to. @throws SfuError 'source-refused' */
  readonly checkUrl?: (url: string, use: 'source' | 'push') => Promise<void>;
}

/** One stream, live or not. */
export interface StreamEntry {
  readonly live: LiveStream;
  readonly policy: StreamPolicy;
  /** Why more people are covered than was asked for; null where none are. */
  readonly policyReason: string | null;
  readonly createdAt: Date;
}

const PERSON_ERASED = 'a person whom only named was erased: everybody is covered';

type Removed = (id: string, last: StreamState) => void;

/**
 * The streams of this gateway: each a row that lasts and a LiveStream that runs. What is done to one stream is done
 * in turn. The LiveStreams end with the SFU that made them.
 */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #entries = new Map<string, StreamEntry & { keyHash: string }>();
  readonly #turns = new Turns();
  readonly #removedListeners = new Set<Removed>();
  /** Compared with where there is no stream, so that the time taken does not tell. */
  readonly #decoyHash = makeStreamKey().hash;
  readonly #creations = new Set<Promise<StreamEntry>>();

  /** Takes up every stored stream, idle. */
  static async create(options: StreamsOptions): Promise<Streams> {
    const streams = new Streams(options);
    for (const record of await options.store.list()) await streams.#restore(record);
    options.log.info({ streams: streams.#entries.size }, 'streams restored');
    return streams;
  }

  private constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** Those whom policies can be about. */
  get people(): People {
    return this.#options.people;
  }

  /**
   * @returns the stream and its key, which is shown this once
   * @throws GatewayError 'stream-exists' | 'too-many-streams' | 'unprocessable'; SfuError 'source-refused'
   */
  async create(wanted: NewStream): Promise<{ entry: StreamEntry; key: string }> {
    const { id = randomBytes(6).toString('hex'), record = false, hls = false, source = null, push = [] } = wanted;
    await this.#check(source, push);
    return this.#turns.take(id, async () => {
      const policy = mergePolicy(DEFAULT_STREAM_POLICY, wanted.policy ?? {}, this.people);
      if (this.#entries.has(id)) throw new GatewayError('stream-exists', `there is a stream ${id} already`);
      if (this.#entries.size + this.#creations.size >= this.#options.maxStreams) {
        const message = `there are ${this.#options.maxStreams} streams, and no more may be made; delete one`;
        throw new GatewayError('too-many-streams', message, { retryAfterSeconds: 60 });
      }
      const { key, hash: keyHash } = makeStreamKey();
      const stored = {
        id,
        keyHash,
        policy,
        record,
        hls,
        source,
        push: Object.freeze([...push]),
        createdAt: new Date(),
      };
      const creation = this.#options.store.create(stored).then(() => this.#addOrForget(stored));
      this.#creations.add(creation);
      try {
        return { entry: await creation, key };
      } finally {
        this.#creations.delete(creation);
      }
    });
  }

  /** @throws GatewayError 'stream-not-found' */
  get(id: string): StreamEntry {
    return this.#entry(id);
  }

  /** The running half of stream `id`, in any case. */
  find(id: string): LiveStream | null {
    return this.#entries.get(id.toLowerCase())?.live ?? null;
  }

  /**
   * In the order in which they were made.
   * @param cursor a page's `next`
   * @throws GatewayError 'bad-request' for a cursor that is none of ours
   */
  list(limit: number, cursor?: string): Page<StreamEntry> {
    return pageOf(this.#entries.values(), ({ live, createdAt }) => ({ id: live.id, createdAt }), limit, cursor);
  }

  /**
   * From the next frame on; viewers are not interrupted.
   * @throws GatewayError 'stream-not-found' | 'unprocessable'; SfuError 'source-refused'
   */
  async update(id: string, wanted: StreamChanges): Promise<StreamEntry> {
    this.#entry(id);
    await this.#check(null, wanted.push ?? []);
    return this.#turns.take(id, async () => {
      const entry = this.#entry(id);
      const changes = {
        ...(wanted.policy && { policy: mergePolicy(entry.policy, wanted.policy, this.people) }),
        ...(wanted.record !== undefined && { record: wanted.record }),
        ...(wanted.push && { push: Object.freeze([...wanted.push]) }),
      };
      return this.#change(entry, changes, changes.policy ? this.#reasonToCover(changes.policy) : entry.policyReason);
    });
  }

  /**
   * Takes a person who is about to be erased out of every policy: from the next frame on, engines know nobody by this
   * id. Nobody is seen by that who was covered: see `withoutPerson`.
   */
  async forgetPerson(person: string): Promise<void> {
    await Promise.allSettled(this.#creations);
    // All of them: one whose turn is not yet over may be about to name the person.
    const ids = [...this.#entries.keys()];
    await Promise.all(ids.map((id) => this.#turns.take(id, () => this.#forgetPerson(id, person))));
  }

  /**
   * The old key stops to open new publishes; one that is on goes on.
   * @throws GatewayError 'stream-not-found'
   */
  rotateKey(id: string): Promise<string> {
    return this.#turns.take(id, async () => {
      const entry = this.#entry(id);
      const { key, hash } = makeStreamKey();
      await this.#options.store.setKeyHash(id, hash);
      this.#entries.set(id, { ...entry, keyHash: hash });
      return key;
    });
  }

  /** Whether `key` opens stream `id`. Takes as long for a stream that is not there. */
  verifyKey(id: string, key: string): boolean {
    const entry = this.#entries.get(id.toLowerCase());
    const matches = verifyKey(key, entry?.keyHash ?? this.#decoyHash);
    return matches && entry !== undefined;
  }

  /**
   * Erases it and ends its publisher and viewers.
   * @throws GatewayError 'stream-not-found'
   */
  remove(id: string): Promise<void> {
    return this.#turns.take(id, async () => {
      const { live } = this.#entry(id);
      await this.#options.store.remove(id);
      this.#entries.delete(id);
      this.#options.hooks?.removed?.(live);
      const last = live.state;
      try {
        await live.close();
      } catch (error) {
        this.#options.log.error({ streamId: id, err: error }, 'stream did not close');
      }
      for (const listener of this.#removedListeners) listener(id, last);
    });
  }

  /** Hears of every stream that is erased, and the state it was in. @returns its unsubscribe */
  onRemoved(listener: Removed): () => void {
    this.#removedListeners.add(listener);
    return () => this.#removedListeners.delete(listener);
  }

  #entry(id: string): StreamEntry & { keyHash: string } {
    const entry = this.#entries.get(id);
    if (!entry) throw new GatewayError('stream-not-found', 'there is no such stream');
    return entry;
  }

  async #forgetPerson(id: string, person: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry?.policy.identities.includes(person)) return;
    const policy = withoutPerson(entry.policy, person);
    const reason = policy.mode === entry.policy.mode ? this.#reasonToCover(policy) : PERSON_ERASED;
    await this.#change(entry, { policy }, reason);
    this.#options.log.warn({ streamId: id, identity: person, mode: policy.mode, reason }, 'person erased from policy');
  }

  async #change(
    entry: StreamEntry & { keyHash: string },
    changes: Partial<Pick<StreamRecord, 'policy' | 'record' | 'push'>>,
    policyReason: string | null,
  ): Promise<StreamEntry> {
    const { live } = entry;
    const { policy } = changes;
    await this.#options.store.update(live.id, changes);
    live.update({ ...changes, ...(policy && { policy: enginePolicyOf(policy, this.people) }) });
    const changed = { ...entry, policy: policy ?? entry.policy, policyReason };
    this.#entries.set(live.id, changed);
    this.#options.hooks?.changed?.(live);
    return changed;
  }

  #reasonToCover(policy: StreamPolicy): string | null {
    return reasonToCover(policy, this.people);
  }

  /** People whom its policy names may have been erased meanwhile, by a process that died or another one. */
  async #restore(record: StreamRecord): Promise<void> {
    const gone = record.policy.identities.filter((person) => !this.people.has(person));
    this.#add(record);
    for (const person of gone) await this.#forgetPerson(record.id, person);
  }

  #add(record: StreamRecord): StreamEntry {
    const { id, keyHash, createdAt, policy, ...settings } = record;
    const live = this.#options.sfu.createStream(id, { ...settings, policy: enginePolicyOf(policy, this.people) });
    const entry = { live, policy, policyReason: this.#reasonToCover(policy), createdAt, keyHash };
    this.#entries.set(id, entry);
    this.#options.hooks?.added?.(live);
    return entry;
  }

  /** A row without a stream would come to life at the next start, its key known to nobody. */
  async #addOrForget(record: StreamRecord): Promise<StreamEntry> {
    try {
      return this.#add(record);
    } catch (error) {
      await this.#options.store.remove(record.id);
      throw error;
    }
  }

  async #check(source: string | null, push: readonly string[]): Promise<void> {
    const { checkUrl } = this.#options;
    if (source !== null) await checkUrl?.(source, 'source');
    for (const target of push) await checkUrl?.(target, 'push');
  }
}
