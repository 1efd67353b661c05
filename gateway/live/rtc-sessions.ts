import { randomBytes } from 'node:crypto';
import type { RtcSession } from '../../sfu/stream-types.ts';
import { GatewayError } from '../errors.ts';
import { hashKey, verifyKey } from '../stream-keys.ts';

/** RFC 9725 §5: addresses of sessions must not be guessed. */
const SESSION_ID_BYTES = 16;
const ETAG_BYTES = 9;

/** A WHIP or WHEP session at its address. */
export class AddressedSession {
  /** 128 random bits in base64url. With it, and the credential of the POST, a session is changed and ended. */
  readonly id = randomBytes(SESSION_ID_BYTES).toString('base64url');
  readonly stream: string;
  readonly rtc: RtcSession;
  readonly #credentialHash: string | null;
  #etag = makeEtag();
  #restarting = false;

  constructor(stream: string, rtc: RtcSession, credential: string | null) {
    this.stream = stream;
    this.rtc = rtc;
    this.#credentialHash = credential === null ? null : hashKey(credential);
  }

  /** Of its ICE session; strong (RFC 9725 §4.3.1). */
  get etag(): string {
    return this.#etag;
  }

  /**
   * Whether who comes with `credential` is who made it. Asked for what it was made with, also when that opens nothing
   * new by now: a key that was replaced must still end what it began.
   */
  admits(credential: string | null): boolean {
    return this.#credentialHash === null || (credential !== null && verifyKey(credential, this.#credentialHash));
  }

  /**
   * @returns our fragment; `etag` is another from then on
   * @throws SfuError 'closed' | 'bad-fragment'; GatewayError 'too-many' while another restart is on
   */
  async restartIce(fragment: string): Promise<string> {
    if (this.#restarting) throw new GatewayError('too-many', 'an ICE restart is on already', { retryAfterSeconds: 1 });
    this.#restarting = true;
    try {
      const answer = await this.rtc.restartIce(fragment);
      this.#etag = makeEtag();
      return answer;
    } finally {
      this.#restarting = false;
    }
  }
}

/** Sessions of one kind by their addresses. An entry goes when its session closes. */
export class RtcSessions {
  readonly #max: number;
  readonly #sessions = new Map<string, AddressedSession>();
  #opening = 0;

  /** @param max that may be at a time, those being made among them */
  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /**
   * @param credential that it was asked for with, null for none
   * @throws GatewayError 'too-many' | 'closed'; what `make` throws
   */
  async open(stream: string, credential: string | null, make: () => Promise<RtcSession>): Promise<AddressedSession> {
    if (this.#sessions.size + this.#opening >= this.#max) {
      throw new GatewayError('too-many', 'there are too many sessions', { retryAfterSeconds: 5 });
    }
    this.#opening += 1;
    try {
      const rtc = await make();
      // Nobody would hear of its end any more.
      if (rtc.closed) throw new GatewayError('closed', 'the session ended as it began', { retryAfterSeconds: 1 });
      const session = new AddressedSession(stream, rtc, credential);
      this.#sessions.set(session.id, session);
      rtc.onClosed(() => this.#sessions.delete(session.id));
      return session;
    } finally {
      this.#opening -= 1;
    }
  }

  /** Only under the stream that it was made for. */
  find(stream: string, id: string): AddressedSession | null {
    const session = this.#sessions.get(id);
    return session?.stream === stream ? session : null;
  }
}

function makeEtag(): string {
  return `"${randomBytes(ETAG_BYTES).toString('base64url')}"`;
}
