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

/** Why a job could not be made, found, or done. */
export type JobErrorCode =
  /** Its payload is too large, or no JSON. */
  | 'bad-job'
  | 'job-cancelled'
  /** Its idempotency key was used for something else. */
  | 'job-conflict'
  | 'job-not-dead'
  | 'job-not-found'
  /** What it is to work on can't be worked on: another attempt would not help. */
  | 'job-rejected'
  | 'job-queue-full'
  /** Another worker may have taken the job over. */
  | 'lease-lost'
  | 'no-handler'
  | 'redis-unreachable'
  /** The worker closes, and hands back what it is at. */
  | 'worker-draining'
  /** Every worker that began it died. */
  | 'worker-lost';

/** Why a live stream could not be recorded, or what was recorded not be made one file. */
export type RecordingErrorCode =
  /** What ffmpeg wrote is not what it was asked for. */
  | 'bad-media'
  /** ffmpeg is not there, or died. */
  | 'ffmpeg-failed';

export type RecorderErrorCode = StoreErrorCode | JobErrorCode | 'closed' | RecordingErrorCode;

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
