import type { Readable } from 'node:stream';

/** What is known of an object without reading it. */
export interface ObjectInfo {
  readonly key: string;
  /** In bytes. */
  readonly size: number;
  /** Opaque, in quotes; another for other content. */
  readonly etag: string;
  readonly modifiedAt: Date;
}

export interface ObjectHead extends ObjectInfo {
  readonly contentType: string;
  /** Of the whole content, in hex; null where the store was never told, as for an upload of parts to S3. */
  readonly sha256: string | null;
}

/** What `put` stored. */
export interface StoredObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  /** Of the bytes as they were handed over, in hex. */
  readonly sha256: string;
}

export interface PutOptions {
  /** A media type. */
  readonly contentType: string;
  /** In hex. Where the bytes are others, nothing is stored. */
  readonly sha256?: string | undefined;
  /** In bytes. Where it is more, nothing is stored. */
  readonly maxBytes?: number | undefined;
  /** In bytes. Where it is less or more, nothing is stored. */
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of an object from `start` to `end`, both counted in; without `end`, to its end. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number | undefined;
}

export interface GetOptions {
  readonly range?: ByteRange | undefined;
  /** Of the whole object, in hex; only without `range`. The stream fails at its end where the bytes are others. */
  readonly sha256?: string | undefined;
  /** Ends the stream as well. */
  readonly signal?: AbortSignal | undefined;
}

export interface ObjectRead {
  readonly head: ObjectHead;
  /** The first and the last byte that come, counted from 0; `end` is -1 for an empty object. */
  readonly start: number;
  readonly end: number;
  /** The caller's to read to its end or to destroy. Fails with RecorderError. */
  readonly stream: Readable;
}

/** A request that whoever has it may send until it expires, without any other credential. */
export interface SignedRequest {
  readonly method: 'GET' | 'PUT';
  /** Absolute; of a local store without an address of its own, a path of the gateway: `new URL(url, base)` does for both. */
  readonly url: string;
  /** Have to be sent as they are. `Content-Length` is not among them: clients set it themselves. */
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

export interface SignGetOptions {
  /** 1 s to 7 days. */
  readonly expiresInSeconds: number;
  /** The name under which it is saved; without, browsers may show it. */
  readonly filename?: string | undefined;
}

export interface SignPutOptions {
  readonly expiresInSeconds: number;
  /** In bytes, 5 GiB at most: no other number is taken. */
  readonly size: number;
  readonly contentType: string;
  /** In hex: no other bytes are taken. A server that does not know S3's checksums takes them all the same. */
  readonly sha256?: string | undefined;
}

export interface SignPartOptions {
  readonly expiresInSeconds: number;
  /** In bytes; MIN_PART_BYTES to MAX_PART_BYTES, the last one may be smaller. */
  readonly size: number;
}

export interface UploadedPart {
  /** 1 to MAX_PARTS. */
  readonly number: number;
  /** As the store gave it, with or without its quotes. */
  readonly etag: string;
}

export interface ListOptions {
  /** 1 to 1000, which is the default. */
  readonly limit?: number | undefined;
  /** What the last page gave as `next`. */
  readonly after?: string | undefined;
}

/** S3's own limits, which hold for both stores. */
export const MIN_PART_BYTES = 5 * 1024 ** 2;
export const MAX_PART_BYTES = 5 * 1024 ** 3;
export const MAX_PARTS = 10_000;
export const MAX_SIGNED_SECONDS = 7 * 24 * 3600;

/**
 * Where objects are kept: a folder of this machine or a bucket. Nothing in it can be reached without a credential or an
 * address that was signed for it. An object is there whole or not at all; the last `put` of a key wins. Keys are those of
 * `objectKey`, else 'bad-key'. Everything may fail with RecorderError 'store-unreachable', 'store-refused' or
 * 'bucket-missing', and after `close` with 'closed'; where its signal is aborted, with the signal's reason.
 */
export interface ObjectStore {
  readonly kind: 'local' | 's3';

  /**
   * Stores bytes, in parts where there are many. Borrows `body` until it settles; reads a stream no faster than it stores,
   * and holds a few parts of it at most.
   * @throws RecorderError 'checksum-mismatch' | 'too-large' | 'incomplete' | 'storage-full'; what the body fails with.
   * Nothing of it is left then, and what was there before is.
   */
  put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject>;

  /** @throws RecorderError 'object-not-found' | 'bad-range'; the stream with 'checksum-mismatch' | 'store-unreachable' */
  get(key: string, options?: GetOptions): Promise<ObjectRead>;

  /** @returns null where there is none */
  head(key: string): Promise<ObjectHead | null>;

  /** Without effect where there is none. */
  delete(key: string): Promise<void>;

  /** Deletes all objects whose keys begin with a `keyPrefix`. Those that are put meanwhile may stay. @returns how many */
  deletePrefix(prefix: string): Promise<number>;

  /** A page of the objects whose keys begin with a `keyPrefix`, in the order of their keys. */
  list(prefix: string, options?: ListOptions): Promise<{ readonly items: ObjectInfo[]; readonly next: string | null }>;

  /** Says nothing of whether the object is there. */
  signGet(key: string, options: SignGetOptions): Promise<SignedRequest>;

  signPut(key: string, options: SignPutOptions): Promise<SignedRequest>;

  /** Begins an upload of parts, which others send by `signPart`. @returns its id */
  createMultipart(key: string, options: { readonly contentType: string }): Promise<string>;

  /** Sent again, a part takes the place of the one before. The answer's `ETag` is for `completeMultipart`. */
  signPart(key: string, uploadId: string, number: number, options: SignPartOptions): Promise<SignedRequest>;

  /**
   * Makes the object of its parts, in the order of their numbers. Where it was completed before it stays as it is: some
   * servers then answer as the first time, others with 'upload-not-found'.
   * @throws RecorderError 'bad-part' | 'upload-not-found'
   */
  completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<ObjectHead>;

  /** Ends an upload and erases its parts. Without effect where there is none. */
  abortMultipart(key: string, uploadId: string): Promise<void>;

  /**
   * Erases what nobody will finish: uploads of parts that were begun before `before`, and what a process that was killed
   * left behind then, or an hour ago. Safe on several nodes at once.
   * @returns how many uploads and files
   */
  sweep(before: Date): Promise<number>;

  /** Whether it can be written to and read now; for the start and for /readyz. */
  check(signal?: AbortSignal): Promise<void>;

  /** Ends what is under way. What is stored stays. */
  close(): Promise<void>;
}
