import { SfuError, type SfuErrorCode } from '../../sfu/errors.ts';
import { GatewayError, type GatewayErrorCode } from '../errors.ts';

interface Answer {
  readonly code: GatewayErrorCode;
  readonly retryAfterSeconds?: number;
}

/** What a client is told when the SFU refuses. The only such table. */
const ANSWERS: Readonly<Record<SfuErrorCode, Answer>> = {
  'bad-fragment': { code: 'bad-fragment' },
  'bad-offer': { code: 'bad-offer' },
  'bad-parameters': { code: 'bad-request' },
  closed: { code: 'closed', retryAfterSeconds: 1 },
  'no-compatible-codec': { code: 'no-common-codec' },
  'not-found': { code: 'not-found' },
  'not-live': { code: 'stream-not-live', retryAfterSeconds: 1 },
  'source-refused': { code: 'unprocessable' },
  'source-unreachable': { code: 'unprocessable' },
  'too-many': { code: 'too-many', retryAfterSeconds: 1 },
  'worker-died': { code: 'not-ready', retryAfterSeconds: 1 },
  'worker-missing': { code: 'not-ready', retryAfterSeconds: 10 },
};

/**
 * The GatewayError for what was thrown: itself where it is one, by the table for an SfuError, else 'internal', its
 * cause for the log and its message empty of it.
 */
export function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  if (!(error instanceof SfuError)) return new GatewayError('internal', 'the server failed', { cause: error });
  const { code, retryAfterSeconds } = ANSWERS[error.code];
  return new GatewayError(code, error.message, {
    cause: error,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
