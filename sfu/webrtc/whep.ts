import { randomUUID } from 'node:crypto';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { buildAnswer } from '../sdp/answer.ts';
import { readViewOffer, viewSections } from '../sdp/whep-offer.ts';
import type { RtcSession } from '../stream-types.ts';
import type { Audience } from '../view/audience.ts';
import { OfferSession } from './offer-session.ts';

/** A viewer that says nothing for so long is gone. */
const ICE_CONSENT_TIMEOUT_S = 20;

/**
 * Takes a WHEP viewer's offer up.
 * @param codec of the redacted picture
 * @throws SfuError 'bad-offer' | 'no-compatible-codec' | 'too-many' | 'closed'
 */
export async function openWhepSession(offer: string, codec: VideoCodec, audience: Audience): Promise<RtcSession> {
  const read = readViewOffer(offer, { video: codec, audio: true });
  const viewer = await audience.enter(read, ICE_CONSENT_TIMEOUT_S);
  try {
    const { transport } = viewer;
    await transport.connect({ dtlsParameters: read.dtlsParameters });
    // Packets flow, from a keyframe on, as soon as the transport is connected.
    const consume = async (kind: 'audio' | 'video') => {
      const track = read[kind];
      return track ? (await viewer.consume(kind, track.rtpCapabilities, track.mid)).rtpParameters : null;
    };
    const rtpParameters = { audio: await consume('audio'), video: await consume('video') };
    return new OfferSession({
      transport,
      answer: buildAnswer({ offer: read, transport, sections: viewSections(read, rtpParameters, randomUUID()) }),
      sections: read.mids.map((mid) => ({ mid, kind: mid === read.video?.mid ? 'video' : 'audio' })),
      dispose: () => viewer.close(),
    });
  } catch (error) {
    viewer.close();
    throw error;
  }
}
