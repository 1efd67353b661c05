import type { types } from 'mediasoup';
import { SfuError } from '../errors.ts';
import type { IceCredentials } from './bounded-text.ts';
import type { Offer, OfferedSection } from './offer.ts';

/** What an offer says of the one transport that its accepted sections share. */
export interface RemotePeer {
  /** For `WebRtcTransport.connect`: the client's role and its certificate's fingerprint. */
  readonly dtlsParameters: types.DtlsParameters;
  readonly iceParameters: IceCredentials;
  /** The accepted mids in the order of the BUNDLE group; the first one's section describes the transport. */
  readonly mids: readonly string[];
}

/** A section with its mid known to be there. */
export type NamedSection = OfferedSection & { readonly mid: string };

/**
 * Whether a section can be answered at all: RTP over DTLS, enabled, with a mid and multiplexed RTCP.
 * @throws SfuError 'bad-offer' for one that can't for what it leaves out
 */
export function isAnswerable(section: OfferedSection): section is NamedSection {
  if (!section.usable) return false;
  if (section.mid === null) throw new SfuError('bad-offer', `the ${section.kind} section has no a=mid`);
  if (!section.rtcpMux) throw new SfuError('bad-offer', `the ${section.kind} section has no a=rtcp-mux`);
  return true;
}

/**
 * @param accepted at least one section
 * @throws SfuError 'bad-offer' when they do not share one transport, or what describes it is missing
 */
export function remotePeerOf(offer: Offer, accepted: readonly NamedSection[]): RemotePeer {
  if (offer.bundle === null && accepted.length > 1) {
    throw new SfuError('bad-offer', 'the offer has no a=group:BUNDLE; its sections must share one transport');
  }
  const order = offer.bundle ?? [];
  const sections = accepted.toSorted((a, b) => order.indexOf(a.mid) - order.indexOf(b.mid));
  // RFC 9143 §7.3.1: the first of the group that is not rejected is the tagged one; its attributes are the transport's.
  const tagged = sections[0]!;
  if (tagged.ice === null) throw new SfuError('bad-offer', 'the offer has no a=ice-ufrag and a=ice-pwd');
  if (tagged.fingerprint === null) throw new SfuError('bad-offer', 'the offer has no a=fingerprint');
  const { algorithm, value } = tagged.fingerprint;
  return {
    iceParameters: tagged.ice,
    dtlsParameters: {
      role: dtlsRoleOf(tagged.setup),
      fingerprints: [{ algorithm: algorithm as types.FingerprintAlgorithm, value }],
    },
    mids: sections.map(({ mid }) => mid),
  };
}

/** RFC 8842 §5.3: who offers actpass leaves the choice to us, and we choose to be the server. */
function dtlsRoleOf(setup: string | null): 'client' | 'server' {
  switch (setup) {
    case 'actpass':
    case 'active':
    // RFC 4145 §4.1: active is what an offer means that does not say.
    case null:
      return 'client';
    case 'passive':
      return 'server';
    default:
      throw new SfuError('bad-offer', 'a=setup is none of actpass, active and passive');
  }
}
