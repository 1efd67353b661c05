import { SfuError } from '../errors.ts';
import { buildAnswer } from '../sdp/answer.ts';
import { publishSections, readPublishOffer } from '../sdp/whip-offer.ts';
import type { RtcSession } from '../stream-types.ts';
import type { Workers } from '../workers.ts';
import { IngestRoom } from './ingest-room.ts';
import { OfferSession, type SessionEnd } from './offer-session.ts';
import { WebRtcSource } from './webrtc-source.ts';

/**
 * Takes a WHIP publisher's offer up: a room of its own, with its producers in it.
 * The caller hands `source` to a publish, or closes the session.
 * @throws SfuError 'bad-offer' | 'no-compatible-codec' | 'worker-died'
 */
export async function openWhipSession(
  offer: string,
  workers: Workers,
): Promise<{ session: RtcSession; source: WebRtcSource }> {
  const read = readPublishOffer(offer, workers.capabilities);
  if (!read.video) throw new SfuError('no-compatible-codec', 'the offer sends no video; a stream needs a picture');
  const room = await IngestRoom.create(workers.pick());
  try {
    const transport = await room.createTransport();
    await transport.connect({ dtlsParameters: read.dtlsParameters });
    const { codec } = read.video;
    const video = await transport.produce({ kind: 'video', rtpParameters: read.video.rtpParameters });
    const source = await WebRtcSource.create(room, video, codec);
    if (read.audio) {
      await source.addAudio(await transport.produce({ kind: 'audio', rtpParameters: read.audio.rtpParameters }));
    }
    const session = new OfferSession({
      transport,
      answer: buildAnswer({ offer: read, transport, sections: publishSections(read) }),
      sections: sectionsOf(read),
      dispose: (why) => source.end(...SOURCE_ENDS[why]),
    });
    return { session, source };
  } catch (error) {
    room.close();
    throw error;
  }
}

const SOURCE_ENDS: Readonly<Record<SessionEnd, Parameters<WebRtcSource['end']>>> = {
  left: ['publisher-left', 'the publisher left'],
  lost: ['connection-lost', "the publisher's connection was lost"],
  ended: ['requested', 'ended'],
};

/** The accepted sections by name, in the order in which they share the transport. */
function sectionsOf(read: ReturnType<typeof readPublishOffer>): { kind: string; mid: string }[] {
  return read.mids.map((mid) => ({ mid, kind: mid === read.video?.mid ? 'video' : 'audio' }));
}
