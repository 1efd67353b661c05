import type { types } from 'mediasoup';
import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedVideo, VideoCodec } from '../../inference/live/coded-media.ts';
import type { Packetizer } from '../rtp/packetizer.ts';
import type { RtpStream } from '../rtp/rtp-stream.ts';
import { REDACTED_H264 } from '../sdp/whep-offer.ts';

export const VIDEO_SSRC = 0x0fac_e001;
export const AUDIO_SSRC = 0x0fac_e002;
export const VIDEO_PAYLOAD_TYPE = 96;
export const AUDIO_PAYLOAD_TYPE = 111;
export const CNAME = 'faceblur';

/** RTP packets of a picture that may leave. Only made of one: the private constructor is what the promise rests on. */
export class RedactedPackets {
  readonly #packets: readonly Buffer[];

  private constructor(packets: readonly Buffer[]) {
    this.#packets = packets;
  }

  /** @param pts what viewers are told, in 90 kHz ticks */
  static of(frame: Redacted<CodedVideo>, stream: RtpStream, packetizer: Packetizer, pts: number): RedactedPackets {
    const packets: Buffer[] = [];
    stream.sendFrame(frame.data, pts, packetizer, (packet) => packets.push(packet));
    return new RedactedPackets(packets);
  }

  get bytes(): number {
    let bytes = 0;
    for (const packet of this.#packets) bytes += packet.length;
    return bytes;
  }

  sendBy(producer: types.Producer): void {
    for (const packet of this.#packets) producer.send(packet);
  }
}

/**
 * The only producer that viewers consume: what goes in is redacted by its type. It lives on a router that holds no
 * other producer of video.
 */
export class RedactedProducer {
  readonly #producer: types.Producer;

  private constructor(producer: types.Producer) {
    this.#producer = producer;
  }

  /** On a transport of a view router, which closes it. */
  static async create(transport: types.DirectTransport, codec: VideoCodec): Promise<RedactedProducer> {
    const producer = await transport.produce({ kind: 'video', rtpParameters: videoParameters(codec) });
    return new RedactedProducer(producer);
  }

  send(packets: RedactedPackets): void {
    packets.sendBy(this.#producer);
  }

  /** Makes a consumer of it on a viewer's transport. @throws what mediasoup throws when the options do not fit */
  consume(transport: types.WebRtcTransport, options: ConsumeOptions): Promise<types.Consumer> {
    return transport.consume({ ...options, producerId: this.#producer.id });
  }
}

export type ConsumeOptions = Omit<types.ConsumerOptions, 'producerId'>;

/** The sound that goes with it. */
export class SoundProducer {
  readonly #producer: types.Producer;

  private constructor(producer: types.Producer) {
    this.#producer = producer;
  }

  static async create(transport: types.DirectTransport): Promise<SoundProducer> {
    return new SoundProducer(await transport.produce({ kind: 'audio', rtpParameters: AUDIO_PARAMETERS }));
  }

  send(packet: Buffer): void {
    this.#producer.send(packet);
  }

  /** Likewise. */
  consume(transport: types.WebRtcTransport, options: ConsumeOptions): Promise<types.Consumer> {
    return transport.consume({ ...options, producerId: this.#producer.id });
  }
}

function videoParameters(codec: VideoCodec): types.RtpParameters {
  return {
    codecs: [
      {
        mimeType: codec === 'vp8' ? 'video/VP8' : 'video/H264',
        payloadType: VIDEO_PAYLOAD_TYPE,
        clockRate: 90_000,
        parameters: codec === 'vp8' ? {} : { ...REDACTED_H264 },
        // Without these, viewers' keyframe requests would not reach us.
        rtcpFeedback: [
          { type: 'nack', parameter: 'pli' },
          { type: 'ccm', parameter: 'fir' },
        ],
      },
    ],
    encodings: [{ ssrc: VIDEO_SSRC }],
    rtcp: { cname: CNAME },
  };
}

const AUDIO_PARAMETERS: types.RtpParameters = {
  codecs: [
    {
      mimeType: 'audio/opus',
      payloadType: AUDIO_PAYLOAD_TYPE,
      clockRate: 48_000,
      channels: 2,
      parameters: { useinbandfec: 1 },
    },
  ],
  encodings: [{ ssrc: AUDIO_SSRC }],
  rtcp: { cname: CNAME },
};
