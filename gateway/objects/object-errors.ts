import { RecorderError, type RecorderErrorCode } from '../../recorder/errors.ts';
import { GatewayError, type GatewayErrorCode } from '../errors.ts';

const CODES: Readonly<Partial<Record<RecorderErrorCode, GatewayErrorCode>>> = {
  'bad-key': 'not-found',
  'bad-part': 'bad-request',
  'checksum-mismatch': 'checksum-mismatch',
  closed: 'closed',
  incomplete: 'upload-incomplete',
  'object-not-found': 'not-found',
  'storage-full': 'storage-full',
  'store-unreachable': 'not-ready',
  'too-large': 'upload-too-large',
  'upload-not-found': 'not-found',
};
const RETRY_AFTER_SECONDS = 10;

/** What a client is told of an object store's error. What is not its client's fault says no more than that. */
export function objectErrorOf(error: unknown): unknown {
  if (!(error instanceof RecorderError)) return error;
  const code = CODES[error.code] ?? 'internal';
  if (code === 'internal') return new GatewayError(code, 'the object store can not be used', { cause: error });
  const message = code === 'not-ready' ? 'the object store does not answer' : error.message;
  const waits = code === 'not-ready' || code === 'storage-full' || code === 'closed';
  return new GatewayError(code, message, { cause: error, ...(waits && { retryAfterSeconds: RETRY_AFTER_SECONDS }) });
}
