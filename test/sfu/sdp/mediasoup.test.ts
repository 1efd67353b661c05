import type { types } from 'mediasoup';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VideoCodec } from '../../../inference/live/coded-media.ts';
import { SfuError } from '../../../sfu/errors.ts';
import { REDACTED_H264, readViewOffer, viewRouterCodecs } from '../../../sfu/sdp/whep-offer.ts';
import { HAS_WORKER, MediaServer } from './media-server.ts';
import { chance, mutate } from './mutate.ts';
import { OFFERS, offerOf } from './offers.ts';

describe.skipIf(!HAS_WORKER)('mediasoup', () => {
  let media: MediaServer;
  beforeAll(async () => {
    media = await MediaServer.create();
  });
  afterAll(() => media?.close());

  test.each(OFFERS.filter((name) => name !== 'chromium-view'))('produces what %s offers', async (name) => {
    const { transport, audio, video } = await media.publish(offerOf(name));
    expect(audio?.type).toBe('simple');
    expect(video?.type).toBe('simple');
    transport.close();
  });

  test('produces whatever of malformed offers was found good', async () => {
    const random = chance(99);
    let taken = 0;
    for (let round = 0; round < 300; round += 1) {
      const sdp = mutate(offerOf(OFFERS[round % OFFERS.length]!), random);
      const published = await media.publish(sdp).catch((error) => {
        // Anything else came from mediasoup, from parameters that should not have reached it.
        if (!(error instanceof SfuError)) throw error;
      });
      if (published) taken += 1;
      published?.transport.close();
    }
    expect(taken).toBeGreaterThan(50);
  });

  test.each(['vp8', 'h264'] as const)('sends redacted %s with the payload types of a viewer', async (codec) => {
    const offer = readViewOffer(offerOf('chromium-view'), { video: codec, audio: true });
    const router = await media.createRouter(viewRouterCodecs(offer, codec));
    const source = await router.createDirectTransport();
    const video = await source.produce({ kind: 'video', rtpParameters: redacted(codec) });
    const transport = await media.transportOf(router);
    const { mid, rtpCapabilities } = offer.video!;
    const { rtpParameters } = await transport.consume({ producerId: video.id, rtpCapabilities, mid });
    expect(rtpParameters).toMatchObject({
      mid,
      codecs: [{ payloadType: offer.video!.payloadType, mimeType: codec === 'vp8' ? 'video/VP8' : 'video/H264' }],
      headerExtensions: [],
    });
    expect(rtpParameters.codecs).toHaveLength(1);
    // Plain NACK survives without RTX, and keyframes can be asked for.
    const feedback = rtpParameters.codecs[0]?.rtcpFeedback?.map(({ type, parameter }) => `${type} ${parameter}`.trim());
    expect(feedback?.sort()).toEqual(['ccm fir', 'nack', 'nack pli']);
    router.close();
  });
});

function redacted(codec: VideoCodec): types.RtpParameters {
  const format =
    codec === 'vp8'
      ? { mimeType: 'video/VP8' as const, parameters: {} }
      : { mimeType: 'video/H264' as const, parameters: { ...REDACTED_H264 } };
  return {
    codecs: [{ ...format, payloadType: 120, clockRate: 90_000, rtcpFeedback: [{ type: 'nack', parameter: 'pli' }] }],
    encodings: [{ ssrc: 4321 }],
  };
}
