import type { RTCPeerConnection } from 'werift';

/** No STUN server: an empty list stands for werift's own choice. */
export const NO_ICE_SERVERS = [{ urls: '' }];

/**
 * An offer without candidates: an ICE-lite server answers whoever checks it, and needs none (RFC 8445 §2.5). werift's
 * gathering ends 5 s later, so it is not waited for.
 */
export async function gatheredOffer(connection: RTCPeerConnection): Promise<string> {
  const offer = await connection.createOffer();
  const gathering = connection.setLocalDescription(offer);
  gathering.catch(() => undefined);
  while (!connection.localDescription) await new Promise((resolve) => setTimeout(resolve, 1));
  return connection.localDescription.sdp;
}
