import { RecorderError, type RecorderErrorCode } from '../../recorder/errors.ts';
import { GatewayError, type GatewayErrorCode } from '../errors.ts';

interface Answer {
  readonly code: GatewayErrorCode;
  readonly retryAfterSeconds?: number;
}

/** What a client is told when a job is refused; for all other codes, that the server failed. */
const ANSWERS: Readonly<Partial<Record<RecorderErrorCode, Answer>>> = {
  'bad-job': { code: 'bad-request' },
  'job-conflict': { code: 'job-conflict' },
  'job-not-dead': { code: 'job-not-dead' },
  'job-not-found': { code: 'job-not-found' },
  'job-queue-full': { code: 'queue-full', retryAfterSeconds: 30 },
};

/** The GatewayError for what a job queue threw; anything else as it is. */
export function toJobError(error: unknown): unknown {
  if (!(error instanceof RecorderError)) return error;
  const answer = ANSWERS[error.code];
  if (!answer) return error;
  const { code, retryAfterSeconds } = answer;
  const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return new GatewayError(code, error.message, { cause: error, ...retry });
}
