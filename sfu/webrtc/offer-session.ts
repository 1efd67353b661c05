import { randomBytes } from 'node:crypto';
import type { types } from 'mediasoup';
import { SfuError } from '../errors.ts';
import { buildFragment, readFragment } from '../sdp/fragment.ts';
import type { RtcSession } from '../stream-types.ts';

/** A peer that has not connected by then is let go. */
const CONNECT_TIMEOUT_MS = 15_000;

export interface OfferSessionParts {
  readonly transport: types.WebRtcTransport;
  readonly answer: string;
  /** The accepted media sections, in the order in which they share the transport. */
  readonly sections: readonly { readonly kind: string; readonly mid: string }[];
  /** Ends what the session was made for. Called once. */
  readonly dispose: (why: SessionEnd) => void;
}

/** `left` where the client said goodbye, `lost` where it vanished, `ended` where we ended it. */
export type SessionEnd = 'left' | 'lost' | 'ended';

/** One WebRTC peer made by an offer. Owns its transport. */
export class OfferSession implements RtcSession {
  /** 128 random bits: who knows it may end the session. */
  readonly id = randomBytes(16).toString('base64url');
  readonly answer: string;
  readonly #parts: OfferSessionParts;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor(parts: OfferSessionParts) {
    this.#parts = parts;
    this.answer = parts.answer;
    const { transport } = parts;
    this.#timer = setTimeout(() => this.end('lost'), CONNECT_TIMEOUT_MS);
    transport.on('dtlsstatechange', (state) => {
      if (state === 'connected') clearTimeout(this.#timer);
      // A peer that closes its connection says so by a DTLS alert.
      if (state === 'closed') this.end('left');
      if (state === 'failed') this.end('lost');
    });
    transport.on('icestatechange', (state) => state === 'disconnected' && this.end('lost'));
    transport.on('routerclose', () => this.end('ended'));
  }

  get closed(): boolean {
    return this.#closed;
  }

  async restartIce(fragment: string): Promise<string> {
    if (this.#closed) throw new SfuError('closed', 'the session has ended');
    readFragment(fragment);
    const { transport, sections } = this.#parts;
    const iceParameters = await transport.restartIce();
    return buildFragment(iceParameters, transport.iceCandidates, sections);
  }

  trickle(fragment: string): void {
    if (this.#closed) throw new SfuError('closed', 'the session has ended');
    readFragment(fragment);
  }

  async close(): Promise<void> {
    this.end('left');
  }

  end(why: SessionEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#parts.transport.close();
    this.#parts.dispose(why);
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  onClosed(listener: () => void): () => void {
    if (this.#closed) listener();
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
