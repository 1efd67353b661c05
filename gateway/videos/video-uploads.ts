import { RecorderError } from '../../recorder/errors.ts';
import type { ObjectHead, ObjectStore, UploadedPart } from '../../recorder/store/object-store.ts';
import { looksLikeVideo, SNIFFED_BYTES } from '../../recorder/videos/sniff.ts';
import type { Video, VideoPlace, VideoUpload } from '../../recorder/videos/video.ts';
import { originalKey } from '../../recorder/videos/video-keys.ts';
import { GatewayError } from '../errors.ts';
import { objectErrorOf } from '../objects/object-errors.ts';

const MIB = 2 ** 20;
/** Larger files come in parts. */
const MAX_SINGLE_BYTES = 64 * MIB;
const LEAST_PART_BYTES = 16 * MIB;
/** So many addresses fit into one answer. */
const MAX_PARTS = 500;
/** Addresses can be used for this time. */
const UPLOAD_MS = 24 * 3_600_000;
const CONTENT_TYPE = 'application/octet-stream';

/** How to send a video's bytes: the contract's `upload`. Addresses are absolute, or paths of the gateway. */
export type UploadAddresses =
  | {
      readonly method: 'PUT';
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly expiresAt: Date;
    }
  | {
      readonly partSize: number;
      readonly parts: readonly { readonly number: number; readonly url: string }[];
      readonly completeWith: 'etags';
      readonly expiresAt: Date;
    };

/** Bytes of videos on their way from whoever has them to the store; they never pass through the gateway's memory. */
export class VideoUploads {
  readonly #store: ObjectStore;

  /** Borrows the store. */
  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Begins an upload of so many bytes. */
  async begin(place: VideoPlace, size: number): Promise<VideoUpload> {
    const expiresAt = new Date(Date.now() + UPLOAD_MS);
    if (size <= MAX_SINGLE_BYTES) return { multipart: null, expiresAt };
    const id = await this.#store.createMultipart(originalKey(place), { contentType: CONTENT_TYPE });
    const partSize = Math.ceil(Math.max(LEAST_PART_BYTES, size / MAX_PARTS) / MIB) * MIB;
    return { multipart: { id, partSize }, expiresAt };
  }

  /** @returns null where the time for it is over */
  async sign(video: Pick<Video, 'owner' | 'id' | 'size' | 'sha256' | 'upload'>): Promise<UploadAddresses | null> {
    const { size, sha256, upload } = video;
    const { multipart, expiresAt } = upload;
    const expiresInSeconds = Math.floor((expiresAt.getTime() - Date.now()) / 1000);
    if (expiresInSeconds < 1) return null;
    const key = originalKey(video);
    if (!multipart) {
      const wanted = { expiresInSeconds, size, contentType: CONTENT_TYPE, ...(sha256 && { sha256 }) };
      const { url, headers } = await this.#store.signPut(key, wanted);
      return { method: 'PUT', url, headers, expiresAt };
    }
    const { id, partSize } = multipart;
    const parts: { number: number; url: string }[] = [];
    for (let number = 1; (number - 1) * partSize < size; number++) {
      const own = Math.min(partSize, size - (number - 1) * partSize);
      const { url } = await this.#store.signPart(key, id, number, { expiresInSeconds, size: own });
      parts.push({ number, url });
    }
    return { partSize, parts, completeWith: 'etags', expiresAt };
  }

  /**
   * Ends an upload, and looks at what came: whether all of it did, and whether it may be a video.
   * @throws GatewayError 'video-not-ready' where nothing came yet; 'bad-request' for parts that are not those that came;
   *   'upload-incomplete' | 'checksum-mismatch' | 'unsupported-media-type', when what came is erased
   */
  async end(video: Video, parts: readonly UploadedPart[] | undefined): Promise<void> {
    const key = originalKey(video);
    const head = video.upload.multipart
      ? await this.#join(key, video.upload.multipart.id, parts)
      : await this.#store.head(key).catch(rethrow);
    if (!head) throw new GatewayError('video-not-ready', 'nothing was uploaded yet');
    try {
      await this.#check(video, head);
    } catch (error) {
      if (error instanceof GatewayError) await this.#store.delete(key);
      throw error;
    }
  }

  /** Ends an upload of which nothing is wanted, and erases what came of it. */
  async abandon(video: Video): Promise<void> {
    const key = originalKey(video);
    const { multipart } = video.upload;
    if (multipart) await this.#store.abortMultipart(key, multipart.id);
    await this.#store.delete(key);
  }

  /** @returns null where there is nothing */
  async #join(key: string, id: string, parts: readonly UploadedPart[] | undefined): Promise<ObjectHead | null> {
    if (!parts || parts.length === 0)
      throw new GatewayError('bad-request', 'parts: must name the parts that were sent');
    try {
      return await this.#store.completeMultipart(key, id, parts);
    } catch (error) {
      // Joined before, by a request whose process died.
      const isJoined = error instanceof RecorderError && error.code === 'upload-not-found';
      return isJoined ? await this.#store.head(key).catch(rethrow) : rethrow(error);
    }
  }

  async #check({ size, sha256 }: Video, head: ObjectHead): Promise<void> {
    if (head.size !== size) {
      throw new GatewayError('upload-incomplete', `${head.size} bytes were uploaded and ${size} declared`);
    }
    if (sha256 !== null && head.sha256 !== null && head.sha256 !== sha256) {
      throw new GatewayError('checksum-mismatch', 'what was uploaded has another SHA-256 than declared');
    }
    const range = { start: 0, end: SNIFFED_BYTES - 1 };
    const { stream } = await this.#store.get(head.key, { range }).catch(rethrow);
    if (!looksLikeVideo(Buffer.concat(await stream.toArray()))) {
      throw new GatewayError('unsupported-media-type', 'what was uploaded is no video, whatever it is called');
    }
  }
}

function rethrow(error: unknown): never {
  throw objectErrorOf(error);
}
