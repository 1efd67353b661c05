import { InferenceError } from '../inference/errors.ts';

/** Codes that reach a client, each with its HTTP status. The only such table. */
const HTTP_STATUS = {
  'bad-request': 400,
  'bad-offer': 400,
  'bad-fragment': 400,
  'bad-image': 400,
  'checksum-mismatch': 400,
  'upload-empty': 400,
  'upload-incomplete': 400,
  unauthorized: 401,
  forbidden: 403,
  'foreign-host': 403,
  'foreign-origin': 403,
  'not-found': 404,
  'clip-not-found': 404,
  'stream-not-found': 404,
  'face-not-found': 404,
  'identity-not-found': 404,
  'video-not-found': 404,
  'recording-not-found': 404,
  'job-not-found': 404,
  'method-not-allowed': 405,
  'no-common-codec': 406,
  'clip-not-done': 409,
  'job-conflict': 409,
  'job-not-dead': 409,
  'idempotency-conflict': 409,
  'stream-exists': 409,
  'stream-not-live': 409,
  'video-conflict': 409,
  'video-not-ready': 409,
  'precondition-failed': 412,
  'body-too-large': 413,
  'image-too-large': 413,
  'upload-too-large': 413,
  'unsupported-media-type': 415,
  'no-face': 422,
  unprocessable: 422,
  'precondition-required': 428,
  'queue-full': 429,
  'too-many': 429,
  'too-many-streams': 429,
  internal: 500,
  closed: 503,
  'not-ready': 503,
  'storage-full': 503,
} as const;

/** Codes that only the command line meets: the user can mend them, so it ends with exit code 2. */
type UsageCode = 'bad-argument' | 'bad-config' | 'cannot-listen';

export type GatewayErrorCode = keyof typeof HTTP_STATUS | UsageCode;
export type HttpErrorStatus = (typeof HTTP_STATUS)[keyof typeof HTTP_STATUS];

/** An error whose message may be shown to a user: one line, no stack; over HTTP it names no path of this machine. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: GatewayErrorCode;
  /** For 429 and 503: when a new attempt makes sense. */
  readonly retryAfterSeconds: number | undefined;
  /** What is wrong with each of several things, as JSON. */
  readonly details: readonly object[] | undefined;

  constructor(
    code: GatewayErrorCode,
    message: string,
    options: { retryAfterSeconds?: number; details?: readonly object[]; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.details = options.details;
  }

  get status(): HttpErrorStatus {
    return isHttpCode(this.code) ? HTTP_STATUS[this.code] : 500;
  }
}

/** Exit code of a command that ended with `error`: 2 when the user or the input is at fault, else 1. */
export function exitCodeOf(error: unknown): 1 | 2 {
  if (error instanceof GatewayError) return isHttpCode(error.code) ? 1 : 2;
  return isInputFault(error) ? 2 : 1;
}

/** True for an engine error that the input explains. */
export function isInputFault(error: unknown): error is InferenceError {
  return error instanceof InferenceError && error.fault === 'input';
}

function isHttpCode(code: GatewayErrorCode): code is keyof typeof HTTP_STATUS {
  return code in HTTP_STATUS;
}
