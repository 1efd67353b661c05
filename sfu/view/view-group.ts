import type { types } from 'mediasoup';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { ROUTER_CODECS } from '../codecs.ts';
import { keyframeRequestsIn } from '../rtp/rtcp.ts';
import { type ViewOffer, viewRouterCodecs } from '../sdp/whep-offer.ts';
import { closeRouter, type MediaWorker } from '../workers.ts';
import { type RedactedPackets, RedactedProducer, SoundProducer } from './redacted-producer.ts';

/** What of a viewer's offer fixes the payload types that it must be sent; null for a mediasoup-client, which takes ours. */
export type OfferedTypes = Pick<ViewOffer, 'audio' | 'video'> | null;

/** The same for offers that one group can serve. */
export function groupKey(offered: OfferedTypes): string {
  return offered === null ? 'own' : `${offered.video?.payloadType}/${offered.audio?.payloadType}`;
}

/**
 * A router on which viewers watch, with the redacted producers on it and nothing else. A mediasoup consumer sends with
 * its router's payload types, and an offer fixes those: so there is one group for each pair of them in use.
 */
export class ViewGroup {
  readonly key: string;
  readonly router: types.Router;
  readonly video: RedactedProducer;
  readonly audio: SoundProducer;
  readonly #direct: types.DirectTransport;
  readonly #worker: MediaWorker;
  readonly #transports = new Set<types.WebRtcTransport>();

  private constructor(
    worker: MediaWorker,
    key: string,
    parts: { router: types.Router; direct: types.DirectTransport; video: RedactedProducer; audio: SoundProducer },
    onKeyframeRequest: () => void,
  ) {
    this.#worker = worker;
    this.key = key;
    this.router = parts.router;
    this.video = parts.video;
    this.#direct = parts.direct;
    this.audio = parts.audio;
    parts.direct.on('rtcp', (packet) => {
      if (keyframeRequestsIn(packet).length > 0) onKeyframeRequest();
    });
  }

  static async create(
    worker: MediaWorker,
    codec: VideoCodec,
    offered: OfferedTypes,
    onKeyframeRequest: () => void,
  ): Promise<ViewGroup> {
    const mediaCodecs = offered === null ? ROUTER_CODECS : viewRouterCodecs(offered, codec);
    const router = await worker.worker.createRouter({ mediaCodecs });
    try {
      const direct = await router.createDirectTransport();
      const video = await RedactedProducer.create(direct, codec);
      const audio = await SoundProducer.create(direct);
      return new ViewGroup(worker, groupKey(offered), { router, direct, video, audio }, onKeyframeRequest);
    } catch (error) {
      router.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.router.closed;
  }

  sendVideo(packets: RedactedPackets): void {
    if (!this.closed) this.video.send(packets);
  }

  sendAudio(packet: Buffer): void {
    if (!this.closed) this.audio.send(packet);
  }

  /** Tells viewers how timestamps lie in time. */
  sendReport(report: Buffer): void {
    if (!this.closed) this.#direct.sendRtcp(report);
  }

  async createTransport(options: { iceConsentTimeout: number }): Promise<types.WebRtcTransport> {
    const transport = await this.router.createWebRtcTransport({
      webRtcServer: this.#worker.webRtcServer,
      initialAvailableOutgoingBitrate: INITIAL_OUTGOING_BPS,
      ...options,
    });
    this.#transports.add(transport);
    transport.observer.once('close', () => this.#transports.delete(transport));
    return transport;
  }

  /** Ends its viewers with it. */
  close(): void {
    closeRouter(this.router, this.#transports);
  }
}

/** What a viewer's network is taken to carry until it is measured. */
const INITIAL_OUTGOING_BPS = 2_000_000;
