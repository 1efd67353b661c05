import type { KeyObject } from 'node:crypto';
import { mkdir, open, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { RecorderError } from '../errors.ts';
import { ContentCheck, checkedStream, chunksUntil, type Expected } from './content-check.ts';
import { checkKey, checkPrefix } from './keys.ts';
import { FOLDER_MODE, headOf, isMissing, LocalLayout, type Meta, syncFolder } from './local-layout.ts';
import { isPartNumber, LocalMultipart } from './local-multipart.ts';
import type {
  GetOptions,
  ListOptions,
  ObjectHead,
  ObjectInfo,
  ObjectRead,
  ObjectStore,
  PutOptions,
  SignedRequest,
  SignGetOptions,
  SignPartOptions,
  SignPutOptions,
  StoredObject,
  UploadedPart,
} from './object-store.ts';
import { checkedLimit, checkPartSize, checkPutSize, expiryOf, resolveRange } from './requests.ts';
import { type Grant, PathSigner } from './signed-path.ts';

/** Of the disk, never filled with objects: databases and logs have to go on. */
const RESERVED_BYTES = 256 * 1024 ** 2;
/** A put that is under way writes to its file more often than this. */
const ABANDONED_MS = 3_600_000;
/** An object that is replaced between its meta and its bytes being read is read anew. */
const READ_ATTEMPTS = 5;

export interface LocalStoreOptions {
  /** Made where it is missing, for its owner alone. */
  readonly folder: string;
  /** What addresses are signed with, and nothing else; those signed with another one are refused. 32 bytes. */
  readonly signingKey: KeyObject;
  /** What signed addresses begin with, without a closing slash; empty: they are paths of the gateway. */
  readonly baseUrl: string;
  /** What has to stay free of the disk, in bytes. */
  readonly reservedBytes?: number;
}

/** Objects in a folder of this machine. Processes may share the folder; the gateway serves what they sign. */
export class LocalStore implements ObjectStore {
  readonly kind = 'local';
  readonly #options: LocalStoreOptions;
  readonly #layout: LocalLayout;
  readonly #uploads: LocalMultipart;
  readonly #signer: PathSigner;
  readonly #ending = new AbortController();

  /** @throws RecorderError 'storage-full'; an Error of the file system */
  static async open(options: LocalStoreOptions): Promise<LocalStore> {
    await translated(mkdir(options.folder, { recursive: true, mode: FOLDER_MODE }));
    return new LocalStore(options);
  }

  private constructor(options: LocalStoreOptions) {
    this.#options = options;
    this.#layout = new LocalLayout(options.folder);
    this.#uploads = new LocalMultipart(join(options.folder, '@uploads'));
    this.#signer = new PathSigner(options.signingKey);
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject> {
    const { contentType, size = body instanceof Uint8Array ? body.byteLength : undefined, maxBytes, sha256 } = options;
    checkKey(key);
    const signal = this.#signal(options.signal);
    const meta = await this.#write(key, body, contentType, { size, maxBytes, sha256 }, signal);
    const { etag } = headOf(key, meta);
    return { key, size: meta.size, etag, sha256: meta.sha256 };
  }

  async get(key: string, options: GetOptions = {}): Promise<ObjectRead> {
    checkKey(key);
    const signal = this.#signal(options.signal);
    for (let attempt = 1; ; attempt++) {
      const meta = await translated(this.#layout.meta(key));
      if (!meta) throw notFound();
      const { start, end } = resolveRange(options.range, meta.size);
      try {
        const file = await open(this.#layout.dataPath(key, meta), 'r');
        const bytes = file.createReadStream({ start, end: Math.max(end, 0) });
        const stream = addAbortSignal(signal, checkedStream(bytes, options, meta.size));
        return { head: headOf(key, meta), start, end, stream };
      } catch (error) {
        if (!isMissing(error)) throw storeError(error);
        if (attempt === READ_ATTEMPTS)
          throw new RecorderError('checksum-mismatch', 'the bytes of this object are gone');
      }
    }
  }

  async head(key: string): Promise<ObjectHead | null> {
    this.#checkOpen();
    const meta = await translated(this.#layout.meta(checkKey(key)));
    return meta && headOf(key, meta);
  }

  async delete(key: string): Promise<void> {
    this.#checkOpen();
    await translated(this.#layout.delete(checkKey(key)));
  }

  async deletePrefix(prefix: string): Promise<number> {
    this.#checkOpen();
    let deleted = 0;
    for await (const key of this.#layout.keys(checkPrefix(prefix))) {
      if (await translated(this.#layout.delete(key))) deleted++;
    }
    return deleted;
  }

  async list(prefix: string, options: ListOptions = {}): Promise<{ items: ObjectInfo[]; next: string | null }> {
    this.#checkOpen();
    const limit = checkedLimit(options.limit);
    const items: ObjectInfo[] = [];
    for await (const key of this.#layout.keys(checkPrefix(prefix), options.after)) {
      if (items.length === limit) return { items, next: items.at(-1)!.key };
      const meta = await translated(this.#layout.meta(key));
      if (!meta) continue;
      const { size, etag, modifiedAt } = headOf(key, meta);
      items.push({ key, size, etag, modifiedAt });
    }
    return { items, next: null };
  }

  async signGet(key: string, { expiresInSeconds, filename }: SignGetOptions): Promise<SignedRequest> {
    return this.#sign({ method: 'GET', key: checkKey(key), filename }, expiresInSeconds);
  }

  async signPut(key: string, options: SignPutOptions): Promise<SignedRequest> {
    const { size, contentType: type, sha256, expiresInSeconds } = options;
    checkPutSize(size);
    const headers = { 'Content-Type': type };
    return this.#sign({ method: 'PUT', key: checkKey(key), size, type, sha256 }, expiresInSeconds, headers);
  }

  async createMultipart(key: string, { contentType }: { contentType: string }): Promise<string> {
    this.#checkOpen();
    return await translated(this.#uploads.create(checkKey(key), contentType));
  }

  async signPart(key: string, upload: string, part: number, options: SignPartOptions): Promise<SignedRequest> {
    const { size, expiresInSeconds } = options;
    checkPartSize(size);
    if (!isPartNumber(part)) throw new RecorderError('bad-part', 'there is no part of such a number');
    return this.#sign({ method: 'PUT', key: checkKey(key), size, upload, part }, expiresInSeconds);
  }

  async completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<ObjectHead> {
    const signal = this.#signal();
    const { contentType, size, body } = await translated(this.#uploads.read(checkKey(key), uploadId, parts));
    const meta = await this.#write(key, body, contentType, { size }, signal);
    await translated(this.#uploads.abort(key, uploadId));
    return headOf(key, meta);
  }

  async abortMultipart(key: string, uploadId: string): Promise<void> {
    this.#checkOpen();
    await translated(this.#uploads.abort(checkKey(key), uploadId));
  }

  async sweep(before: Date): Promise<number> {
    this.#checkOpen();
    // An upload waits for its client between parts; a file that nobody writes to has no writer.
    const unwritten = new Date(Math.max(before.getTime(), Date.now() - ABANDONED_MS));
    return (await translated(this.#uploads.sweep(before))) + (await translated(this.#layout.sweep(unwritten)));
  }

  async check(): Promise<void> {
    await this.#checkSpace(0);
  }

  async close(): Promise<void> {
    this.#ending.abort(new RecorderError('closed', 'the object store is closed'));
  }

  /**
   * What a signed path grants, for the gateway.
   * @param key the path's part after `/objects/`, as it was sent
   * @returns null where it is not ours, was changed, is for something else or has expired
   */
  verify(method: string, key: string, query: string): Grant | null {
    const grant = this.#signer.verify(method, key, query);
    return grant && grant.expires * 1000 > Date.now() ? grant : null;
  }

  /** Stores what somebody sends who was granted it. @returns the object's tag or the part's */
  async putGranted(grant: Grant, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<string> {
    const { key, size, sha256, type = 'application/octet-stream', upload, part } = grant;
    if (upload === undefined || part === undefined) {
      return (await this.put(key, body, { contentType: type, size, sha256, signal })).etag;
    }
    await this.#checkSpace(size ?? 0);
    const ended = this.#signal(signal);
    return await translated(this.#uploads.putPart(key, upload, part, chunksUntil(body, ended), { size }));
  }

  async #write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    contentType: string,
    expected: Expected,
    signal: AbortSignal,
  ): Promise<Meta> {
    let path: string | null = null;
    try {
      await this.#checkSpace(expected.size ?? 0);
      const data = await this.#layout.newData(key);
      path = data.path;
      const check = new ContentCheck(expected);
      const file = await open(path, 'r+');
      try {
        await writeFile(file, check.through(chunksUntil(body, signal)));
        await file.datasync();
      } finally {
        await file.close();
      }
      await syncFolder(dirname(path));
      signal.throwIfAborted();
      return await this.#layout.commit(key, data, { size: check.size, contentType, sha256: check.sha256 });
    } catch (error) {
      if (body instanceof Readable) body.destroy();
      if (path) await rm(path, { force: true });
      throw signal.aborted ? signal.reason : storeError(error);
    }
  }

  async #checkSpace(bytes: number): Promise<void> {
    this.#checkOpen();
    const { bavail, bsize } = await translated(statfs(this.#options.folder));
    if (bavail * bsize - bytes < (this.#options.reservedBytes ?? RESERVED_BYTES)) throw full();
  }

  #sign(grant: Omit<Grant, 'expires'>, seconds: number, headers: Record<string, string> = {}): SignedRequest {
    this.#checkOpen();
    const expiresAt = expiryOf(seconds);
    const url = this.#options.baseUrl + this.#signer.sign({ ...grant, expires: expiresAt.getTime() / 1000 });
    return { method: grant.method, url, headers, expiresAt };
  }

  /** Aborted by the caller or by `close`. */
  #signal(signal?: AbortSignal): AbortSignal {
    this.#checkOpen();
    signal?.throwIfAborted();
    return signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal;
  }

  #checkOpen(): void {
    this.#ending.signal.throwIfAborted();
  }
}

function notFound(): RecorderError {
  return new RecorderError('object-not-found', 'there is no such object');
}

function full(cause?: unknown): RecorderError {
  return new RecorderError('storage-full', 'the disk that objects are kept on is full', { cause });
}

async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw storeError(error);
  }
}

function storeError(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' ? full(error) : error;
}
