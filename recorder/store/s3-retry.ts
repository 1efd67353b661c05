import type { S3ClientConfig } from '@aws-sdk/client-s3';

type RetryStrategy = Extract<
  NonNullable<S3ClientConfig['retryStrategy']>,
  { acquireInitialRetryToken(scope: string): unknown }
>;
type RetryToken = Awaited<ReturnType<RetryStrategy['acquireInitialRetryToken']>>;
type RetryErrorInfo = Parameters<RetryStrategy['refreshRetryTokenForRetry']>[1];

export interface RetryLimits {
  /** Of one request, the first counted in. */
  readonly maxAttempts: number;
  /** The first wait's upper bound; each further one's is twice as long. */
  readonly baseDelayMs: number;
  /** Upper bound of each wait. */
  readonly maxDelayMs: number;
}

/** 8 attempts wait for 14 s on average and 28 s at most; then whoever asked decides: a recorder spools, a job comes again. */
export const RETRY_LIMITS: RetryLimits = { maxAttempts: 8, baseDelayMs: 250, maxDelayMs: 8000 };

/** What was sent is whole here, so it is sent again: the way damaged it, or it stalled. The SDK takes these as final. */
const DAMAGED_ON_THE_WAY = new Set(['BadDigest', 'XAmzContentSHA256Mismatch', 'InvalidDigest', 'IncompleteBody']);

/**
 * Tries again what failed on the way or at the server, after a random wait below a bound that doubles up to a cap ("full
 * jitter"), and no sooner than `Retry-After` says. The SDK's own does less here: 3 attempts, and none in an outage, where
 * its budget of retries runs out.
 */
export class CappedRetry implements RetryStrategy {
  readonly #limits: RetryLimits;
  readonly #random: () => number;

  constructor(limits: RetryLimits = RETRY_LIMITS, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  async acquireInitialRetryToken(): Promise<RetryToken> {
    return token(0, 0);
  }

  /** @throws Error where there is to be no further attempt */
  async refreshRetryTokenForRetry(last: RetryToken, info: RetryErrorInfo): Promise<RetryToken> {
    const { maxAttempts, baseDelayMs, maxDelayMs } = this.#limits;
    const retries = last.getRetryCount() + 1;
    if (retries >= maxAttempts || !mayPass(info)) throw new Error('no further attempt');
    const bound = Math.min(maxDelayMs, baseDelayMs * 2 ** (retries - 1));
    const asked = (info.retryAfterHint?.getTime() ?? 0) - Date.now();
    return token(retries, Math.max(Math.floor(this.#random() * bound), Math.min(asked, maxDelayMs)));
  }

  /** There is no budget to refill. */
  recordSuccess(): void {}
}

function mayPass({ errorType, error }: RetryErrorInfo): boolean {
  const { name } = (error ?? {}) as Partial<Error>;
  if (name === 'AbortError') return false;
  return errorType !== 'CLIENT_ERROR' || DAMAGED_ON_THE_WAY.has(name ?? '');
}

function token(retries: number, delayMs: number): RetryToken {
  return { getRetryCount: () => retries, getRetryDelay: () => delayMs };
}
