/** Why an object could not be kept or read. */
export type StoreErrorCode =
  /** The key is none of ours. */
  | 'bad-key'
  /** A part that is not there, differs from what was stored, or is too small. */
  | 'bad-part'
  /** Nothing of the object lies in the range asked for. */
  | 'bad-range'
  /** The bucket is not there, or is somebody else's. */
  | 'bucket-missing'
  /** Bytes are not those that they were said to be. */
  | 'checksum-mismatch'
  /** Fewer bytes came than were promised. */
  | 'incomplete'
  | 'object-not-found'
  | 'storage-full'
  /** The store does not let us, or does not do this. */
  | 'store-refused'
  /** No answer, or only failures, after all attempts: a later attempt may do. */
  | 'store-unreachable'
  | 'too-large'
  | 'upload-not-found';

export type RecorderErrorCode = StoreErrorCode | 'closed';

/** What whoever keeps the bucket can mend. */
const BUCKET_FAULTS: ReadonlySet<RecorderErrorCode> = new Set(['bucket-missing', 'store-refused', 'store-unreachable']);

/** Why recording, storing or a job failed. The message is one line for people, without keys, paths and secrets. */
export class RecorderError extends Error {
  override readonly name = 'RecorderError';
  readonly code: RecorderErrorCode;

  constructor(code: RecorderErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /** Whether the bucket, or the way to it, is at fault and not we. */
  get isBucketFault(): boolean {
    return BUCKET_FAULTS.has(this.code);
  }
}
