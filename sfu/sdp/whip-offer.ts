import type { types } from 'mediasoup';
import * as ortc from 'mediasoup/ortc';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { SfuError } from '../errors.ts';
import type { AnswerSection } from './answer.ts';
import { feedbackOf, opusCodecsOf, parametersOf, rtxPayloadTypeOf, videoCodecsOf } from './codec-parameters.ts';
import { MID, RID, usedExtensions } from './header-extensions.ts';
import { type Offer, type OfferedCodec, readOffer } from './offer.ts';
import { isAnswerable, type NamedSection, type RemotePeer, remotePeerOf } from './remote-peer.ts';

export interface PublishedTrack {
  readonly mid: string;
  /** For `transport.produce`: the payload types and extension ids are the publisher's. */
  readonly rtpParameters: types.RtpParameters;
}

/** A publisher's offer, as far as it is taken up. At least one of audio and video is there. */
export interface PublishOffer extends Offer, RemotePeer {
  readonly audio: PublishedTrack | null;
  readonly video: (PublishedTrack & { readonly codec: VideoCodec }) | null;
}

/**
 * Reads the offer of a WHIP publisher (RFC 9725 §4.4). Of each kind the first section that can be used is taken, the
 * others are to be rejected; of simulcast the layer that stands first is taken.
 * @param routerRtpCapabilities of the router that will produce it
 * @throws SfuError 'bad-offer' | 'no-compatible-codec'
 */
export function readPublishOffer(sdp: string, routerRtpCapabilities: types.RtpCapabilities): PublishOffer {
  const offer = readOffer(sdp);
  const sending = offer.sections.filter(
    ({ kind, direction }) =>
      (kind === 'audio' || kind === 'video') && (direction === 'sendonly' || direction === 'sendrecv'),
  );
  const sections = sending.filter(isAnswerable);
  if (sections.length === 0) throw new SfuError('bad-offer', 'the offer sends neither audio nor video over DTLS-SRTP');
  const audio = firstTrack(sections, 'audio', routerRtpCapabilities);
  const video = firstTrack(sections, 'video', routerRtpCapabilities);
  if (audio && video) refuseSharedSsrcs(audio.rtpParameters, video.rtpParameters);
  const accepted = sections.filter(({ mid }) => mid === audio?.mid || mid === video?.mid);
  return {
    ...offer,
    ...remotePeerOf(offer, accepted),
    audio: audio && { mid: audio.mid, rtpParameters: audio.rtpParameters },
    video: video && { mid: video.mid, rtpParameters: video.rtpParameters, codec: video.codec as VideoCodec },
  };
}

/** The accepted sections for `buildAnswer`. */
export function publishSections({ audio, video }: PublishOffer): AnswerSection[] {
  return [audio, video].flatMap((track) =>
    track === null ? [] : [{ mid: track.mid, direction: 'recvonly' as const, rtpParameters: track.rtpParameters }],
  );
}

/** RFC 9725 §4.4.3: no half answers; a kind that is offered and not understood fails the whole. */
function firstTrack(
  sections: readonly NamedSection[],
  kind: 'audio' | 'video',
  capabilities: types.RtpCapabilities,
): (PublishedTrack & { readonly codec: string }) | null {
  const offered = sections.filter((section) => section.kind === kind);
  for (const section of offered) {
    for (const codec of kind === 'audio' ? opusCodecsOf(section) : videoCodecsOf(section)) {
      const rtpParameters = rtpParametersOf(section, codec);
      if (routerTakes(rtpParameters, capabilities)) return { mid: section.mid, rtpParameters, codec: codec.name };
    }
  }
  if (offered.length === 0) return null;
  const needed = kind === 'audio' ? 'Opus' : 'VP8, or H.264 with packetization-mode 1';
  throw new SfuError('no-compatible-codec', `the offer's ${kind} has no codec in common; ${needed} is needed`);
}

/** mediasoup itself says whether it takes them: H.264 is matched by profile, for one. */
function routerTakes(rtpParameters: types.RtpParameters, capabilities: types.RtpCapabilities): boolean {
  try {
    ortc.getProducerRtpParametersMapping(structuredClone(rtpParameters), capabilities);
    return true;
  } catch (error) {
    if (error instanceof Error && error.name === 'UnsupportedError') return false;
    throw error;
  }
}

function rtpParametersOf(section: NamedSection, codec: OfferedCodec): types.RtpParameters {
  const { encoding, rtx, cname } = streamOf(section, codec);
  const headerExtensions = usedExtensions(section, 'send', encoding.rid !== undefined);
  if (encoding.ssrc === undefined && !headerExtensions.some(({ uri }) => uri === MID)) {
    throw new SfuError('bad-offer', `the ${section.kind} section has neither a=ssrc nor the mid header extension`);
  }
  const codecs: types.RtpCodecParameters[] = [
    {
      mimeType: codec.name === 'opus' ? 'audio/opus' : codec.name === 'vp8' ? 'video/VP8' : 'video/H264',
      payloadType: codec.payloadType,
      clockRate: codec.clockRate,
      ...(section.kind === 'audio' ? { channels: codec.channels } : {}),
      parameters: parametersOf(codec),
      rtcpFeedback: feedbackOf(codec, headerExtensions),
    },
  ];
  if (rtx !== null) {
    const parameters = { apt: codec.payloadType };
    codecs.push({ mimeType: 'video/rtx', payloadType: rtx, clockRate: 90_000, parameters, rtcpFeedback: [] });
  }
  return {
    mid: section.mid,
    codecs,
    headerExtensions: headerExtensions.map(({ uri, id }) => ({ uri, id, encrypt: false, parameters: {} })),
    encodings: [encoding],
    rtcp: { ...(cname === null ? {} : { cname }), reducedSize: section.rtcpRsize },
  };
}

/** The section's one stream: by its rid or its SSRCs where they are told, else by the mid that its packets carry. */
function streamOf(
  section: NamedSection,
  codec: OfferedCodec,
): { encoding: types.RtpEncodingParameters; rtx: number | null; cname: string | null } {
  const rtx = section.kind === 'video' ? rtxPayloadTypeOf(section, codec) : null;
  const cname = section.ssrcs.find((entry) => entry.cname !== null)?.cname ?? null;
  // By its name, so that a packet of another layer (Chromium pads with them) is never taken for it.
  const tellsRids = usedExtensions(section, 'send', true).some(({ uri }) => uri === RID);
  if (section.simulcastRid !== null && tellsRids) return { encoding: { rid: section.simulcastRid }, rtx, cname };
  if (section.ssrcs.length === 0) return { encoding: {}, rtx, cname };
  // The largest layer of the SSRC-signalled simulcast of old is its group's first.
  const ssrc = section.ssrcGroups.find(({ semantics }) => semantics === 'SIM')?.ssrcs[0] ?? section.ssrcs[0]!.ssrc;
  const pair = section.ssrcGroups.find(({ semantics, ssrcs }) => semantics === 'FID' && ssrcs[0] === ssrc)?.ssrcs;
  const rtxSsrc = pair?.[1];
  // RFC 4588 in another stream needs that stream's SSRC; without it losses are repaired in the stream itself.
  if (rtx === null || rtxSsrc === undefined || rtxSsrc === ssrc) return { encoding: { ssrc }, rtx: null, cname };
  return { encoding: { ssrc, rtx: { ssrc: rtxSsrc } }, rtx, cname };
}

function refuseSharedSsrcs(...all: types.RtpParameters[]): void {
  const ssrcs = all.flatMap(({ encodings }) =>
    (encodings ?? []).flatMap(({ ssrc, rtx }) => [ssrc, rtx?.ssrc].filter((one) => one !== undefined)),
  );
  if (new Set(ssrcs).size < ssrcs.length) throw new SfuError('bad-offer', 'audio and video have the same a=ssrc');
}
