import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { RecorderError } from '../errors.ts';
import { checkedStream } from './content-check.ts';
import { checkKey, checkPrefix } from './keys.ts';
import { checkParts, isPartNumber } from './local-multipart.ts';
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
import { checkedLimit, checkPartSize, checkPutSize, dispositionOf, expiryOf, resolveRange } from './requests.ts';
import { hasCode, storeErrorOf } from './s3-errors.ts';
import { resumingStream } from './s3-read.ts';
import { CappedRetry, RETRY_LIMITS, type RetryLimits } from './s3-retry.ts';
import { completeUpload, uploadObject } from './s3-upload.ts';

/** The store is given up on as unreachable where a connection takes longer than this, or brings nothing for so long. */
const CONNECT_MS = 5000;
const IDLE_MS = 30_000;
const MAX_SOCKETS = 64;
/** Requests at a time of `deletePrefix`. */
const DELETES_AT_ONCE = 16;
/** Where S3 keeps what it was told of the whole content: of parts it knows no SHA-256 of all. */
const SHA256_METADATA = 'sha256';

export interface S3StoreOptions {
  /** Of R2, MinIO or any other S3; null: AWS's own of the region. */
  readonly endpoint: string | null;
  /** `auto` for R2. */
  readonly region: string;
  readonly bucket: string;
  /** Null: from where the SDK looks for them (a role of the machine, AWS's own variables and files). */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** The bucket in the path and not in the host's name. */
  readonly forcePathStyle: boolean;
  readonly retry?: RetryLimits;
  readonly idleMs?: number;
}

/**
 * Objects in a bucket of S3 or what speaks it. Every request's body is in memory and its SHA-256 in the request's signature,
 * so that each server refuses bytes that were damaged on the way, and a request can be sent again.
 */
export class S3Store implements ObjectStore {
  readonly kind = 's3';
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #retry: RetryLimits;
  readonly #ending = new AbortController();

  /** Connects to nothing yet: see `check`. */
  constructor(options: S3StoreOptions) {
    const { endpoint, region, bucket, credentials, forcePathStyle, retry = RETRY_LIMITS, idleMs = IDLE_MS } = options;
    this.#bucket = bucket;
    this.#retry = retry;
    this.#client = new S3Client({
      ...(endpoint === null ? {} : { endpoint }),
      ...(credentials === null ? {} : { credentials: { ...credentials } }),
      region,
      forcePathStyle,
      maxAttempts: retry.maxAttempts,
      retryStrategy: new CappedRetry(retry),
      requestHandler: {
        connectionTimeout: Math.min(CONNECT_MS, idleMs),
        socketTimeout: idleMs,
        httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
        httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      },
      // See STORAGE.md, Integrity: signed SHA-256 does it on every server; some refuse what they do not know.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // The handshake costs a round trip and a connection of its own for each object.
      expectContinueHeader: false,
    });
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject> {
    const { contentType, sha256 } = options;
    const params = {
      ...{ Bucket: this.#bucket, Key: checkKey(key), ContentType: contentType },
      ...(sha256 === undefined ? {} : { Metadata: { [SHA256_METADATA]: sha256.toLowerCase() } }),
    };
    const signal = this.#signal(options.signal);
    return await this.#translated(uploadObject(this.#client, params, body, { ...options, signal }), signal);
  }

  async get(key: string, options: GetOptions = {}): Promise<ObjectRead> {
    const { range } = options;
    const signal = this.#signal(options.signal);
    // Not each server refuses one that ends before it begins.
    if (range) resolveRange(range, Number.MAX_SAFE_INTEGER);
    const target = { Bucket: this.#bucket, Key: checkKey(key) };
    const ranged = range ? { Range: `bytes=${range.start}-${range.end ?? ''}` } : {};
    const answer = await this.#translated(
      this.#client.send(new GetObjectCommand({ ...target, ...ranged }), { abortSignal: signal }),
      signal,
    );
    const length = answer.ContentLength ?? 0;
    const start = range?.start ?? 0;
    const total = Number(/\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1] ?? length);
    const head = headOf(key, { ...answer, ContentLength: total });
    const bytes = resumingStream({
      first: answer.Body as Readable,
      from: start,
      to: start + length - 1,
      again: async (at, to) => {
        const command = new GetObjectCommand({ ...target, Range: `bytes=${at}-${to}`, IfMatch: head.etag });
        return (await this.#client.send(command, { abortSignal: signal })).Body as Readable;
      },
      retry: this.#retry,
      signal,
    });
    return { head, start, end: start + length - 1, stream: checkedStream(bytes, options, total) };
  }

  async head(key: string): Promise<ObjectHead | null> {
    try {
      return headOf(key, await this.#send(new HeadObjectCommand({ Bucket: this.#bucket, Key: checkKey(key) })));
    } catch (error) {
      if (!hasCode(error, 'object-not-found')) throw error;
      // An answer to HEAD does not say what is not there.
      await this.check();
      return null;
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.#send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: checkKey(key) }));
    } catch (error) {
      if (!hasCode(error, 'object-not-found')) throw error;
    }
  }

  async deletePrefix(prefix: string): Promise<number> {
    let deleted = 0;
    // One by one: not each server knows DeleteObjects, and in none are deletions paid for.
    for (let after: string | undefined, isMore = true; isMore; ) {
      const { items, next } = await this.list(prefix, { after });
      await eachOf(items, DELETES_AT_ONCE, ({ key }) => this.delete(key));
      deleted += items.length;
      isMore = next !== null;
      after = next ?? undefined;
    }
    return deleted;
  }

  async list(prefix: string, options: ListOptions = {}): Promise<{ items: ObjectInfo[]; next: string | null }> {
    const { Contents = [], IsTruncated = false } = await this.#send(
      new ListObjectsV2Command({
        ...{ Bucket: this.#bucket, Prefix: checkPrefix(prefix), MaxKeys: checkedLimit(options.limit) },
        ...(options.after === undefined ? {} : { StartAfter: options.after }),
      }),
    );
    const items = Contents.map(({ Key = '', Size = 0, ETag = '', LastModified = new Date(0) }) => {
      return { key: Key, size: Size, etag: ETag, modifiedAt: LastModified };
    });
    return { items, next: IsTruncated ? (items.at(-1)?.key ?? null) : null };
  }

  async signGet(key: string, { expiresInSeconds, filename }: SignGetOptions): Promise<SignedRequest> {
    const command = new GetObjectCommand({
      ...{ Bucket: this.#bucket, Key: checkKey(key), ResponseCacheControl: 'private, no-store' },
      ResponseContentDisposition: dispositionOf(filename),
    });
    return await this.#sign('GET', command, expiresInSeconds);
  }

  async signPut(key: string, options: SignPutOptions): Promise<SignedRequest> {
    const { size, contentType, sha256, expiresInSeconds } = options;
    checkPutSize(size);
    const hash = sha256?.toLowerCase();
    const headers = {
      'Content-Type': contentType,
      ...(hash === undefined
        ? {}
        : {
            'x-amz-checksum-sha256': Buffer.from(hash, 'hex').toString('base64'),
            [`x-amz-meta-${SHA256_METADATA}`]: hash,
          }),
    };
    const command = new PutObjectCommand({
      ...{ Bucket: this.#bucket, Key: checkKey(key), ContentLength: size, ContentType: contentType },
      ...(hash === undefined
        ? {}
        : { ChecksumSHA256: headers['x-amz-checksum-sha256']!, Metadata: { [SHA256_METADATA]: hash } }),
    });
    return await this.#sign('PUT', command, expiresInSeconds, headers);
  }

  async createMultipart(key: string, { contentType }: { contentType: string }): Promise<string> {
    const target = { Bucket: this.#bucket, Key: checkKey(key), ContentType: contentType };
    return (await this.#send(new CreateMultipartUploadCommand(target))).UploadId!;
  }

  async signPart(key: string, uploadId: string, number: number, options: SignPartOptions): Promise<SignedRequest> {
    checkPartSize(options.size);
    if (!isPartNumber(number)) throw new RecorderError('bad-part', 'there is no part of such a number');
    const command = new UploadPartCommand({
      ...{ Bucket: this.#bucket, Key: checkKey(key), UploadId: uploadId },
      ...{ PartNumber: number, ContentLength: options.size },
    });
    return await this.#sign('PUT', command, options.expiresInSeconds);
  }

  async completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<ObjectHead> {
    const Parts = checkParts(parts).map(({ number, etag }) => ({ PartNumber: number, ETag: `"${etag}"` }));
    const target = { Bucket: this.#bucket, Key: checkKey(key), UploadId: uploadId, MultipartUpload: { Parts } };
    const signal = this.#signal();
    await this.#translated(completeUpload(this.#client, target, signal), signal);
    const head = await this.head(key);
    if (!head) throw new RecorderError('object-not-found', 'the object was deleted when it was just complete');
    return head;
  }

  async abortMultipart(key: string, uploadId: string): Promise<void> {
    try {
      await this.#send(
        new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key: checkKey(key), UploadId: uploadId }),
      );
    } catch (error) {
      if (!hasCode(error, 'upload-not-found', 'object-not-found')) throw error;
    }
  }

  async sweep(before: Date): Promise<number> {
    let aborted = 0;
    let page: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
    while (page) {
      const answer: ListMultipartUploadsCommandOutput = await this.#send(
        new ListMultipartUploadsCommand({ Bucket: this.#bucket, ...page }),
      );
      for (const { Key = '', UploadId = '', Initiated } of answer.Uploads ?? []) {
        if (!Initiated || Initiated >= before || !isOurs(Key)) continue;
        await this.abortMultipart(Key, UploadId);
        aborted++;
      }
      const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = answer;
      page = IsTruncated && NextKeyMarker ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker! } : null;
    }
    return aborted;
  }

  async check(signal?: AbortSignal): Promise<void> {
    const ended = this.#signal(signal);
    const work = this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }), { abortSignal: ended });
    try {
      await this.#translated(work, ended);
    } catch (error) {
      if (!hasCode(error, 'object-not-found')) throw error;
      const what = 'the bucket is not there; make it, or set S3_BUCKET to one that is';
      throw new RecorderError('bucket-missing', what, { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#ending.abort(new RecorderError('closed', 'the object store is closed'));
    this.#client.destroy();
  }

  readonly #send: S3Client['send'] = (command: never) => {
    const signal = this.#signal();
    return this.#translated(this.#client.send(command, { abortSignal: signal }), signal) as never;
  };

  async #sign(
    method: 'GET' | 'PUT',
    command: GetObjectCommand | PutObjectCommand | UploadPartCommand,
    seconds: number,
    headers: Record<string, string> = {},
  ): Promise<SignedRequest> {
    this.#signal();
    const signingDate = new Date();
    const expiresAt = expiryOf(seconds, signingDate);
    const names = Object.keys(headers).map((name) => name.toLowerCase());
    const url = await getSignedUrl(this.#client, command as GetObjectCommand, {
      ...{ expiresIn: seconds, signingDate },
      // In the query a server would not see what the sender has to keep to.
      signableHeaders: new Set([...names, 'content-length', 'host']),
      unhoistableHeaders: new Set(names),
    });
    return { method, url, headers, expiresAt };
  }

  async #translated<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw signal.aborted ? signal.reason : storeErrorOf(error);
    }
  }

  /** Aborted by the caller or by `close`. */
  #signal(signal?: AbortSignal): AbortSignal {
    this.#ending.signal.throwIfAborted();
    signal?.throwIfAborted();
    return signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal;
  }
}

function headOf(key: string, answer: Omit<HeadObjectCommandOutput, '$metadata'>): ObjectHead {
  return {
    key,
    size: answer.ContentLength ?? 0,
    etag: answer.ETag ?? '""',
    modifiedAt: answer.LastModified ?? new Date(0),
    contentType: answer.ContentType ?? 'application/octet-stream',
    sha256: answer.Metadata?.[SHA256_METADATA] ?? null,
  };
}

/** A bucket may be shared with others: what has none of our keys is left alone. */
function isOurs(key: string): boolean {
  try {
    return checkKey(key) === key;
  } catch {
    return false;
  }
}

async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const one = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}
