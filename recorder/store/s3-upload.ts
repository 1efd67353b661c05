import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { ContentCheck, chunksUntil } from './content-check.ts';
import { MAX_PARTS, type PutOptions, type StoredObject } from './object-store.ts';
import { hasCode, storeErrorOf } from './s3-errors.ts';

/** Of a stream in memory: these parts on their way, one that is being filled, and a copy of it. */
const PARTS_AT_ONCE = 4;
const PART_BYTES = 8 * 1024 ** 2;

interface Target {
  readonly Bucket: string;
  readonly Key: string;
  readonly ContentType: string;
  readonly Metadata?: Record<string, string>;
}

/** As `ObjectStore.put`; errors are the SDK's. */
export async function uploadObject(
  client: S3Client,
  target: Target,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  options: PutOptions & { readonly signal: AbortSignal },
): Promise<StoredObject> {
  const { size, maxBytes, sha256, signal } = options;
  const check = new ContentCheck({ size, maxBytes, sha256 });
  let etag: string | undefined;
  if (body instanceof Uint8Array && body.byteLength <= PART_BYTES) {
    check.add(body);
    check.end();
    etag = (await client.send(new PutObjectCommand({ ...target, Body: body }), { abortSignal: signal })).ETag;
  } else {
    const Body = Readable.from(check.through(chunksUntil(body, signal)), { objectMode: false, highWaterMark: 1 });
    try {
      etag = (await sendParts(client, { ...target, Body }, size ?? 0, signal)).ETag;
    } finally {
      Body.destroy();
      if (body instanceof Readable) body.destroy();
    }
  }
  return { key: target.Key, size: check.size, etag: etag ?? '""', sha256: check.sha256 };
}

/** By lib-storage, which neither hands an abort on to its requests nor ends the others when one fails. */
async function sendParts(
  client: S3Client,
  params: Target & { Body: Readable },
  size: number,
  signal: AbortSignal,
): Promise<{ ETag?: string | undefined }> {
  const failing = new AbortController();
  const abortSignal = AbortSignal.any([signal, failing.signal]);
  const send = async (command: Parameters<S3Client['send']>[0]) => {
    try {
      // One whose answer nobody waited for would be begun, and nobody could end it.
      if (command instanceof CreateMultipartUploadCommand) return await client.send(command);
      if (command instanceof AbortMultipartUploadCommand) return await client.send(command);
      if (command instanceof CompleteMultipartUploadCommand) {
        return await completeUpload(client, command.input, abortSignal);
      }
      return await client.send(command as PutObjectCommand, { abortSignal });
    } catch (error) {
      failing.abort(error);
      throw error;
    }
  };
  const upload = new Upload({
    client: Object.create(client, { send: { value: send } }) as S3Client,
    params,
    queueSize: PARTS_AT_ONCE,
    partSize: Math.max(PART_BYTES, Math.ceil(size / MAX_PARTS)),
  });
  try {
    return await upload.done();
  } catch (error) {
    // The first failure, and not that of a request that was ended for it.
    throw failing.signal.aborted ? failing.signal.reason : error;
  }
}

/** Makes an object of its parts, also where the answer of a first attempt was lost and the upload is gone by the second. */
export async function completeUpload(
  client: S3Client,
  input: CompleteMultipartUploadCommandInput,
  abortSignal: AbortSignal,
): Promise<{ ETag?: string | undefined }> {
  try {
    return await client.send(new CompleteMultipartUploadCommand(input), { abortSignal });
  } catch (error) {
    const { attempts = 1 } = (error as { $metadata?: { attempts?: number } }).$metadata ?? {};
    if (attempts === 1 || !hasCode(storeErrorOf(error), 'upload-not-found')) throw error;
    const { Bucket, Key } = input;
    const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal }).catch(() => {
      throw error;
    });
    if (ETag !== etagOfParts(input.MultipartUpload?.Parts ?? [])) throw error;
    return { ETag };
  }
}

/** The tag that S3 gives an object of parts: the MD5 of their MD5s and how many they are. Of encrypted parts, another. */
function etagOfParts(parts: readonly CompletedPart[]): string {
  const hash = createHash('md5');
  for (const { ETag = '' } of parts) hash.update(Buffer.from(ETag.replaceAll('"', ''), 'hex'));
  return `"${hash.digest('hex')}-${parts.length}"`;
}
