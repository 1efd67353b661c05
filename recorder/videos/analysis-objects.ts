import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { deserialize, serialize } from 'node:v8';
import type { Analysis } from '../../inference/analysis/analysis.ts';
import { RecorderError } from '../errors.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Sealer } from './sealer.ts';
import type { VideoPlace } from './video.ts';
import { attemptPrefixes, framesKey, looksKey, peopleKey } from './video-keys.ts';
import { type VideoPeople, videoPeopleOf } from './video-people.ts';

/** What is sealed as a video's looks: an analysis without pictures, and what its frames' file holds. */
interface SealedLooks {
  readonly version: 1;
  /** Of the frames' object, in hex. */
  readonly framesSha256: string;
  readonly analysis: Omit<Analysis, 'path'>;
}

const SEALED = 'application/octet-stream';
/** Looks are 64 MB at most, and all thumbnails of a video 32 MB: what is larger is none of ours. */
const MAX_SEALED_BYTES = 192 * 2 ** 20;

/**
 * Keeps analyses of videos: in the clear where in each frame there is a face, sealed what anybody looks like. All of it
 * is erased with the video. Nobody is named in it: when an identity is erased, there is nothing here of the photos that
 * the person was enrolled by, and no look is known to be that person's any more; that the person appears in the video,
 * like everybody else in it, is the video's to forget.
 */
export class AnalysisObjects {
  readonly #store: ObjectStore;
  readonly #sealer: Sealer;

  /** Borrows both. */
  constructor(store: ObjectStore, sealer: Sealer) {
    this.#store = store;
    this.#sealer = sealer;
  }

  /** Stores an analysis whose file is `analysis.path`. */
  async save(place: VideoPlace, folder: string, analysis: Analysis, signal: AbortSignal): Promise<void> {
    const { path, ...rest } = analysis;
    const frames = createReadStream(path);
    const type = { contentType: 'application/octet-stream', signal };
    const { sha256: framesSha256 } = await this.#store.put(framesKey(place, folder), frames, type);
    const people = analysis.people.map((person) => ({ ...person, thumbnail: null }));
    const looks: SealedLooks = { version: 1, framesSha256, analysis: { ...rest, people } };
    await this.#seal(looksKey(place, folder), contexts.looks(place, folder), looks, signal);
    const shown: VideoPeople = videoPeopleOf(analysis);
    await this.#seal(peopleKey(place, folder), contexts.people(place, folder), shown, signal);
  }

  /**
   * Fetches an analysis; its file is written to `path`.
   * @throws RecorderError 'object-not-found' | 'checksum-mismatch'; an Error where it can't be opened
   */
  async load(place: VideoPlace, folder: string, path: string, signal: AbortSignal): Promise<Analysis> {
    const key = looksKey(place, folder);
    const { analysis, framesSha256 } = await this.#open<SealedLooks>(key, contexts.looks(place, folder), signal);
    const { stream } = await this.#store.get(framesKey(place, folder), { sha256: framesSha256, signal });
    await pipeline(stream, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal });
    return { ...analysis, path };
  }

  /** Fetches who appears. @throws as `load` */
  people(place: VideoPlace, folder: string, signal?: AbortSignal): Promise<VideoPeople> {
    return this.#open(peopleKey(place, folder), contexts.people(place, folder), signal);
  }

  /**
   * Stores another video's analysis as this one's.
   * @param path of a file that is written and then of no use
   * @throws as `load`
   */
  async copy(
    from: { readonly place: VideoPlace; readonly folder: string },
    to: { readonly place: VideoPlace; readonly folder: string },
    path: string,
    signal: AbortSignal,
  ): Promise<void> {
    const analysis = await this.load(from.place, from.folder, path, signal);
    const shown = await this.people(from.place, from.folder, signal);
    const pictures = new Map(shown.people.map(({ face, thumbnail }) => [face, thumbnail]));
    const people = analysis.people.map((person) => ({ ...person, thumbnail: pictures.get(person.id) ?? null }));
    await this.save(to.place, to.folder, { ...analysis, people }, signal);
  }

  /** Erases what an attempt stored. */
  async erase(place: VideoPlace, folder: string): Promise<void> {
    for (const prefix of attemptPrefixes(place, folder)) await this.#store.deletePrefix(prefix);
  }

  async #seal(key: string, context: string, value: unknown, signal: AbortSignal): Promise<void> {
    const plain = serialize(value);
    try {
      await this.#store.put(key, this.#sealer.seal(plain, context), { contentType: SEALED, signal });
    } finally {
      plain.fill(0);
    }
  }

  async #open<T>(key: string, context: string, signal: AbortSignal | undefined): Promise<T> {
    const { head, stream } = await this.#store.get(key, { signal });
    if (head.size > MAX_SEALED_BYTES) {
      stream.destroy();
      throw new RecorderError('too-large', 'what is kept of this analysis is no analysis');
    }
    // Sealed by ourselves: nobody else can have made it. Embeddings are views of these bytes.
    return deserialize(this.#sealer.open(Buffer.concat(await stream.toArray()), context)) as T;
  }
}

/** What each sealed thing is, so that none can be put in another's place. */
const contexts = {
  looks: ({ id }: VideoPlace, folder: string) => `video-looks:${id}:${folder}`,
  people: ({ id }: VideoPlace, folder: string) => `video-people:${id}:${folder}`,
};
