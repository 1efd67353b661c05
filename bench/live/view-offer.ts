import { RTCPeerConnection, useH264, useOPUS, useVP8 } from 'werift';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { gatheredOffer } from '../../test/live/peer-offer.ts';

/** The offer that a WhepViewer will make, ahead of it: its payload types are what counts. */
export async function viewOffer(codec: VideoCodec): Promise<string> {
  const connection = new RTCPeerConnection({
    codecs: { video: [codec === 'vp8' ? useVP8() : useH264()], audio: [useOPUS()] },
    iceServers: [],
    iceUseIpv6: false,
    iceAdditionalHostAddresses: ['127.0.0.1'],
  });
  try {
    for (const kind of ['video', 'audio'] as const) connection.addTransceiver(kind, { direction: 'recvonly' });
    return await gatheredOffer(connection);
  } finally {
    await connection.close();
  }
}
