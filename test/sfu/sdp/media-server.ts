import { existsSync } from 'node:fs';
import { createWorker, type types } from 'mediasoup';
import type { VideoCodec } from '../../../inference/live/coded-media.ts';
import { ROUTER_CODECS } from '../../../sfu/codecs.ts';
import { buildAnswer } from '../../../sfu/sdp/answer.ts';
import { readViewOffer, viewRouterCodecs, viewSections } from '../../../sfu/sdp/whep-offer.ts';
import { publishSections, readPublishOffer } from '../../../sfu/sdp/whip-offer.ts';
import { cachedWorkerPath, defaultWorkerBinaryLocation, workerBinaryPath } from '../../../sfu/worker-binary/locate.ts';

const LOCATION = defaultWorkerBinaryLocation(process.env);
export const HAS_WORKER = existsSync(LOCATION.ownPath ?? cachedWorkerPath(LOCATION));

/** What was published: one transport and its producers. */
export interface Published {
  readonly answer: string;
  readonly transport: types.WebRtcTransport;
  readonly audio: types.Producer | null;
  readonly video: types.Producer | null;
  readonly codec: VideoCodec | null;
}

export interface Viewed {
  readonly answer: string;
  readonly transport: types.WebRtcTransport;
  readonly consumers: types.Consumer[];
}

/** A real mediasoup worker on loopback that answers publishers and viewers; viewers get what is published, as it is. */
export class MediaServer {
  readonly #worker: types.Worker;
  readonly router: types.Router;

  static async create(): Promise<MediaServer> {
    const worker = await createWorker({ workerBin: workerBinaryPath(LOCATION), logLevel: 'error' });
    return new MediaServer(worker, await worker.createRouter({ mediaCodecs: ROUTER_CODECS }));
  }

  private constructor(worker: types.Worker, router: types.Router) {
    this.#worker = worker;
    this.router = router;
  }

  /** @param protocols that it listens for */
  async publish(sdp: string, protocols: readonly types.TransportProtocol[] = ['udp', 'tcp']): Promise<Published> {
    const offer = readPublishOffer(sdp, this.router.rtpCapabilities);
    const transport = await this.transportOf(this.router, protocols);
    await transport.connect({ dtlsParameters: offer.dtlsParameters });
    const produce = async (kind: types.MediaKind, track: { rtpParameters: types.RtpParameters } | null) =>
      track && (await transport.produce({ kind, rtpParameters: track.rtpParameters }));
    return {
      transport,
      audio: await produce('audio', offer.audio),
      video: await produce('video', offer.video),
      codec: offer.video?.codec ?? null,
      answer: buildAnswer({ offer, transport, sections: publishSections(offer) }),
    };
  }

  async view(sdp: string, { audio, video, codec }: Published): Promise<Viewed> {
    const offer = readViewOffer(sdp, { video: codec, audio: audio !== null });
    const router = await this.createRouter(viewRouterCodecs(offer, codec ?? 'vp8'));
    const transport = await this.transportOf(router);
    await transport.connect({ dtlsParameters: offer.dtlsParameters });
    const consume = async (producer: types.Producer | null, track: typeof offer.audio) => {
      if (!producer || !track) return null;
      const { pipeProducer } = await this.router.pipeToRouter({ producerId: producer.id, router, keepId: false });
      const { mid, rtpCapabilities } = track;
      return transport.consume({ producerId: pipeProducer!.id, rtpCapabilities, mid });
    };
    const sent = { audio: await consume(audio, offer.audio), video: await consume(video, offer.video) };
    const parameters = { audio: sent.audio?.rtpParameters ?? null, video: sent.video?.rtpParameters ?? null };
    return {
      transport,
      consumers: [sent.audio, sent.video].filter((consumer) => consumer !== null),
      answer: buildAnswer({ offer, transport, sections: viewSections(offer, parameters, 'street') }),
    };
  }

  createRouter(mediaCodecs: types.RouterRtpCodecCapability[]): Promise<types.Router> {
    return this.#worker.createRouter({ mediaCodecs });
  }

  transportOf(
    router: types.Router,
    protocols: readonly types.TransportProtocol[] = ['udp', 'tcp'],
  ): Promise<types.WebRtcTransport> {
    const listenInfos = protocols.map((protocol) => ({ protocol, ip: '127.0.0.1' }));
    return router.createWebRtcTransport({ listenInfos, preferUdp: true });
  }

  /** Closes the worker, and waits until its process is gone. */
  async close(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#worker.once('subprocessclose', () => resolve()));
    this.#worker.close();
    await gone;
  }
}
