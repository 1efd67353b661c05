import { GatewayError } from '../errors.ts';

export interface IntakeLimits {
  /** Requests at a time, those whose pictures still arrive among them. */
  readonly maxRequests: number;
  /** Of all their bodies together. */
  readonly maxBytes: number;
}

/** A request that was let in. Whoever entered leaves. */
export interface Admission {
  /** Counts bytes that are held for it. @throws GatewayError 'too-many' */
  hold(bytes: number): void;
  leave(): void;
}

const RETRY_AFTER_SECONDS = 2;

/** Lets so many requests in at a time, and so many bytes: pictures wait in memory for their turn. */
export class Intake {
  readonly #limits: IntakeLimits;
  #requests = 0;
  #bytes = 0;

  constructor(limits: IntakeLimits) {
    this.#limits = limits;
  }

  /** @throws GatewayError 'too-many' */
  enter(): Admission {
    if (this.#requests >= this.#limits.maxRequests) throw tooMany();
    this.#requests++;
    let [held, hasLeft] = [0, false];
    return {
      hold: (bytes) => {
        if (this.#bytes + bytes > this.#limits.maxBytes) throw tooMany();
        held += bytes;
        this.#bytes += bytes;
      },
      leave: () => {
        if (hasLeft) return;
        hasLeft = true;
        this.#requests--;
        this.#bytes -= held;
      },
    };
  }
}

function tooMany(): GatewayError {
  return new GatewayError('too-many', 'too many pictures are waiting; try again soon', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
