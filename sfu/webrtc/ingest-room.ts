import type { types } from 'mediasoup';
import { ROUTER_CODECS } from '../codecs.ts';
import { closeRouter, type MediaWorker } from '../workers.ts';

/** A peer that says nothing for so long is gone (RFC 7675 §5.1 asks for 30 s; a publisher comes back sooner). */
export const ICE_CONSENT_TIMEOUT_S = 6;

/**
 * A router for one publisher. Nobody watches on it: what comes in raw can't be consumed from where viewers are, for a
 * router only gives out producers of its own.
 */
export class IngestRoom {
  readonly worker: MediaWorker;
  readonly router: types.Router;
  readonly direct: types.DirectTransport;
  readonly #transports = new Set<types.WebRtcTransport>();

  private constructor(worker: MediaWorker, router: types.Router, direct: types.DirectTransport) {
    this.worker = worker;
    this.router = router;
    this.direct = direct;
  }

  static async create(worker: MediaWorker): Promise<IngestRoom> {
    const router = await worker.worker.createRouter({ mediaCodecs: ROUTER_CODECS });
    try {
      return new IngestRoom(worker, router, await router.createDirectTransport());
    } catch (error) {
      router.close();
      throw error;
    }
  }

  async createTransport(): Promise<types.WebRtcTransport> {
    const transport = await this.router.createWebRtcTransport({
      webRtcServer: this.worker.webRtcServer,
      iceConsentTimeout: ICE_CONSENT_TIMEOUT_S,
      initialAvailableOutgoingBitrate: INITIAL_BPS,
    });
    this.#transports.add(transport);
    transport.observer.once('close', () => this.#transports.delete(transport));
    return transport;
  }

  /** Its transports, producers and consumers end with it. */
  close(): void {
    closeRouter(this.router, this.#transports);
  }
}

const INITIAL_BPS = 1_000_000;
