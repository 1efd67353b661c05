import type { types } from 'mediasoup';
import type { OfferedSection } from './offer.ts';

export const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
export const ABS_SEND_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
export const TRANSPORT_CC = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
/** Which layer a packet is of (RFC 8852), for media and for their retransmissions. */
export const RID = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';
const STREAM_IDS: readonly types.RtpHeaderExtensionUri[] = [
  RID,
  'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
];

/**
 * The header extensions that are taken up. Not among them, on purpose: `urn:3gpp:video-orientation`, so that a browser
 * turns its pixels itself and what is looked at for faces is upright.
 */
const USED: readonly types.RtpHeaderExtensionUri[] = [MID, ABS_SEND_TIME, TRANSPORT_CC];

/** The ids that mediasoup sends them with, whatever a viewer offers (`supportedRtpCapabilities` in mediasoup). */
export const MEDIASOUP_IDS: ReadonlyMap<string, number> = new Map([
  [MID, 1],
  [ABS_SEND_TIME, 4],
  [TRANSPORT_CC, 5],
]);

/**
 * The used extensions of a section that its offerer sends with (`'send'`) or takes (`'receive'`), each at most once.
 * Only ids of the one-byte form (RFC 8285 §4.2: 1 to 14).
 * @param streamIds also those that tell layers apart
 */
export function usedExtensions(
  section: OfferedSection,
  way: 'send' | 'receive',
  streamIds = false,
): { uri: types.RtpHeaderExtensionUri; id: number }[] {
  const wanted = streamIds ? [...USED, ...STREAM_IDS] : USED;
  const contrary = way === 'send' ? 'recvonly' : 'sendonly';
  const uris = new Set<string>();
  const ids = new Set<number>();
  const used: { uri: types.RtpHeaderExtensionUri; id: number }[] = [];
  for (const { uri: offered, id, direction } of section.extensions) {
    const uri = wanted.find((one) => one === offered);
    if (uri === undefined || uris.has(uri) || ids.has(id)) continue;
    if (id < 1 || id > 14 || direction === contrary || direction === 'inactive') continue;
    uris.add(uri);
    ids.add(id);
    used.push({ uri, id });
  }
  return used;
}
