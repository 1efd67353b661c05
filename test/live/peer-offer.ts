import type { RTCPeerConnection } from 'werift';

const GATHERING_LIMIT_MS = 5000;

/** An offer with its candidates in it, as WHIP and WHEP clients without trickle send it. */
export async function gatheredOffer(connection: RTCPeerConnection): Promise<string> {
  await connection.setLocalDescription(await connection.createOffer());
  const deadline = performance.now() + GATHERING_LIMIT_MS;
  while (connection.iceGatheringState !== 'complete' && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return connection.localDescription!.sdp;
}
