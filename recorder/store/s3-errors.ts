import { S3ServiceException } from '@aws-sdk/client-s3';
import { RecorderError, type RecorderErrorCode } from '../errors.ts';

/** What S3 calls it, and we. */
const BY_NAME: Readonly<Record<string, RecorderErrorCode>> = {
  NoSuchBucket: 'bucket-missing',
  NoSuchKey: 'object-not-found',
  NotFound: 'object-not-found',
  NoSuchUpload: 'upload-not-found',
  InvalidPart: 'bad-part',
  InvalidPartOrder: 'bad-part',
  EntityTooSmall: 'bad-part',
  EntityTooLarge: 'too-large',
  InvalidRange: 'bad-range',
  BadDigest: 'checksum-mismatch',
  InvalidDigest: 'checksum-mismatch',
  XAmzContentSHA256Mismatch: 'checksum-mismatch',
  QuotaExceeded: 'storage-full',
  InsufficientStorage: 'storage-full',
  XMinioStorageFull: 'storage-full',
};

const MESSAGES: Readonly<Partial<Record<RecorderErrorCode, string>>> = {
  'bucket-missing': 'the bucket is not there; make it, or set S3_BUCKET to one that is',
  'object-not-found': 'there is no such object',
  'upload-not-found': 'there is no such upload; it was completed or aborted, or is too old',
  'bad-part': 'a part is not there, is another one, or is too small',
  'too-large': 'the object store takes nothing as large',
  'bad-range': 'no byte of the object lies in that range',
  'checksum-mismatch': 'the object store says that the bytes are not those that were sent',
  'storage-full': 'the object store is full',
};

const TOO_MANY_REQUESTS = 429;

/** An error of the SDK as one of ours; what is neither an answer nor of the way there is given back as it is. */
export function storeErrorOf(error: unknown): unknown {
  if (error instanceof RecorderError || !(error instanceof Error)) return error;
  if (error instanceof S3ServiceException) return ofAnswer(error);
  if (!isOfTheWay(error)) return error;
  return new RecorderError('store-unreachable', 'the object store does not answer; see S3_ENDPOINT', { cause: error });
}

export function hasCode(error: unknown, ...codes: readonly RecorderErrorCode[]): boolean {
  return error instanceof RecorderError && codes.includes(error.code);
}

function ofAnswer(error: S3ServiceException): RecorderError {
  const status = error.$metadata.httpStatusCode ?? 0;
  const code = BY_NAME[error.name] ?? (status === 404 ? 'object-not-found' : null);
  if (code) return new RecorderError(code, MESSAGES[code]!, { cause: error });
  const name = /^\w{1,64}$/.test(error.name) ? error.name : 'an error';
  if (status >= 500 || status === TOO_MANY_REQUESTS || status === 0) {
    return new RecorderError('store-unreachable', `the object store fails with ${name}`, { cause: error });
  }
  const what = `the object store refuses with ${name}; see S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and S3_REGION`;
  return new RecorderError('store-refused', what, { cause: error });
}

/** Of sockets and names (`code`), of the SDK's own timers, and answers that are no S3 (which it can't read). */
function isOfTheWay(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return (
    (typeof code === 'string' && /^(E[A-Z]|ERR_STREAM_PREMATURE|ERR_TLS|CERT_|UNABLE_|DEPTH_|SELF_)/.test(code)) ||
    error.name === 'TimeoutError' ||
    '$metadata' in error
  );
}
