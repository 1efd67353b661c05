import { GatewayError } from '../errors.ts';

/** How many may do something at a time. */
export class Slots {
  readonly #most: number;
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * @returns gives it back; once, however often it is called
   * @throws GatewayError 'too-many'
   */
  take(): () => void {
    if (this.#taken >= this.#most) {
      throw new GatewayError('too-many', 'too many are being sent at a time', { retryAfterSeconds: 1 });
    }
    this.#taken++;
    let isHeld = true;
    return () => {
      if (isHeld) this.#taken--;
      isHeld = false;
    };
  }
}
