import type { types } from 'mediasoup';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { SfuError } from '../errors.ts';
import type { AnswerSection } from './answer.ts';
import { feedbackOf, opusCodecsOf, parametersOf, profileLevelIdOf, videoCodecsOf } from './codec-parameters.ts';
import { type H264Profile, h264ProfileOf } from './h264-profile.ts';
import { MEDIASOUP_IDS, usedExtensions } from './header-extensions.ts';
import { type Offer, type OfferedCodec, readOffer } from './offer.ts';
import { isAnswerable, type NamedSection, type RemotePeer, remotePeerOf } from './remote-peer.ts';

/** What a viewer is to be sent. */
export interface ViewWish {
  /** Null for a stream without picture. */
  readonly video: VideoCodec | null;
  readonly audio: boolean;
}

export interface ViewedTrack {
  /** For `transport.consume`. */
  readonly mid: string;
  /** The offer's: what we send must carry it, or a browser does not know it for what it is. */
  readonly payloadType: number;
  /** For `transport.consume`, in a router made with `viewRouterCodecs`. */
  readonly rtpCapabilities: types.RtpCapabilities;
  /** The offered format's, for the answer, which must name the same format. */
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** A viewer's offer, as far as it is taken up. At least one of audio and video is there. */
export interface ViewOffer extends Offer, RemotePeer {
  readonly audio: ViewedTrack | null;
  readonly video: (ViewedTrack & { readonly codec: VideoCodec }) | null;
}

/** What redacted H.264 is, for producers as for consumers: every profile that a viewer may offer includes it. */
export const REDACTED_H264: Readonly<Record<string, string | number>> = Object.freeze({
  'packetization-mode': 1,
  'profile-level-id': '42e01f',
  'level-asymmetry-allowed': 1,
});

/** Which of a viewer's H.264 formats is used first. All decode constrained baseline. */
const PROFILES_BY_FIT: readonly H264Profile[] = [
  'constrained-baseline',
  'baseline',
  'main',
  'high',
  'constrained-high',
];

/** For routers of viewers that ask for no sound, so that they share the one that most viewers with sound use. */
const USUAL_AUDIO_PAYLOAD_TYPE = 111;
/** Likewise for viewers without picture. */
const USUAL_VIDEO_PAYLOAD_TYPE = 96;

/**
 * Reads the offer of a WHEP viewer. Of each kind the first section that can be used is taken, the others are to be
 * rejected.
 * @throws SfuError 'bad-offer' | 'no-compatible-codec'
 */
export function readViewOffer(sdp: string, wish: ViewWish): ViewOffer {
  const offer = readOffer(sdp);
  const receiving = offer.sections.filter(
    ({ kind, direction }) =>
      (kind === 'audio' || kind === 'video') && (direction === 'recvonly' || direction === 'sendrecv'),
  );
  const sections = receiving.filter(isAnswerable);
  if (sections.length === 0)
    throw new SfuError('bad-offer', 'the offer asks for neither audio nor video over DTLS-SRTP');
  const video = wish.video === null ? null : firstTrack(sections, 'video', wish.video);
  const audio = wish.audio ? firstTrack(sections, 'audio', 'opus') : null;
  if (!video && !audio) throw new SfuError('no-compatible-codec', 'the stream has nothing of what the offer asks for');
  if (video && audio && video.payloadType === audio.payloadType) {
    throw new SfuError('bad-offer', 'audio and video have the same payload type');
  }
  const accepted = sections.filter(({ mid }) => mid === audio?.mid || mid === video?.mid);
  return { ...offer, ...remotePeerOf(offer, accepted), audio, video: video && { ...video, codec: wish.video! } };
}

/**
 * Codecs for the router that serves a viewer. A consumer sends with its router's payload types, so there is one router
 * for each pair of payload types that viewers offer.
 * @param codec of the redacted video, also where this viewer takes none
 */
export function viewRouterCodecs(
  { audio, video }: Pick<ViewOffer, 'audio' | 'video'>,
  codec: VideoCodec,
): types.RouterRtpCodecCapability[] {
  const videoType = video?.payloadType ?? another(USUAL_VIDEO_PAYLOAD_TYPE, audio?.payloadType);
  const audioType = audio?.payloadType ?? another(USUAL_AUDIO_PAYLOAD_TYPE, videoType);
  // Sound first: mediasoup takes a free payload type for the retransmissions of a video codec as it comes to it, and
  // would take that of a codec which comes later.
  return [
    { kind: 'audio', mimeType: 'audio/opus', preferredPayloadType: audioType, clockRate: 48_000, channels: 2 },
    { ...videoCodec(codec), preferredPayloadType: videoType },
  ];
}

/**
 * The accepted sections for `buildAnswer`.
 * @param rtpParameters of the consumers that were made for the offer's audio and video
 * @param streamId names the MediaStream that the viewer's tracks are in
 */
export function viewSections(
  { audio, video }: ViewOffer,
  rtpParameters: { readonly audio: types.RtpParameters | null; readonly video: types.RtpParameters | null },
  streamId: string,
): AnswerSection[] {
  const section = (track: ViewedTrack | null, sent: types.RtpParameters | null, kind: string): AnswerSection[] => {
    if (track === null || sent === null) return [];
    const codecs = sent.codecs.map((codec) => ({ ...codec, parameters: { ...track.parameters } }));
    const msid = { stream: streamId, track: `${streamId}-${kind}` };
    return [{ mid: track.mid, direction: 'sendonly', rtpParameters: { ...sent, codecs }, msid }];
  };
  return [...section(audio, rtpParameters.audio, 'audio'), ...section(video, rtpParameters.video, 'video')];
}

function another(payloadType: number, taken: number | undefined): number {
  return payloadType === taken ? payloadType + 1 : payloadType;
}

function videoCodec(codec: VideoCodec): Omit<types.RouterRtpCodecCapability, 'preferredPayloadType'> {
  const common = { kind: 'video' as const, clockRate: 90_000 };
  if (codec === 'vp8') return { ...common, mimeType: 'video/VP8', parameters: {} };
  return { ...common, mimeType: 'video/H264', parameters: { ...REDACTED_H264 } };
}

function firstTrack(
  sections: readonly NamedSection[],
  kind: 'audio' | 'video',
  wanted: 'opus' | VideoCodec,
): ViewedTrack | null {
  const offered = sections.filter((section) => section.kind === kind);
  for (const section of offered) {
    const codec = wanted === 'opus' ? opusCodecsOf(section)[0] : bestVideoCodec(section, wanted);
    if (codec) return trackOf(section, codec, wanted);
  }
  if (offered.length === 0) return null;
  const needed = { opus: 'Opus', vp8: 'VP8', h264: 'H.264 with packetization-mode 1' }[wanted];
  throw new SfuError('no-compatible-codec', `the offer's ${kind} has no codec in common; ${needed} is needed`);
}

function bestVideoCodec(section: NamedSection, wanted: VideoCodec): OfferedCodec | undefined {
  const rank = (codec: OfferedCodec) => PROFILES_BY_FIT.indexOf(h264ProfileOf(profileLevelIdOf(codec))!);
  const codecs = videoCodecsOf(section).filter(({ name }) => name === wanted);
  return wanted === 'h264' ? codecs.toSorted((a, b) => rank(a) - rank(b))[0] : codecs[0];
}

function trackOf(section: NamedSection, codec: OfferedCodec, wanted: 'opus' | VideoCodec): ViewedTrack {
  const { payloadType } = codec;
  // RFC 5761 §4: with multiplexed RTCP these would be taken for RTCP.
  if (payloadType > 63 && payloadType < 96) {
    throw new SfuError('bad-offer', `payload type ${payloadType} cannot be told from RTCP`);
  }
  const kind = wanted === 'opus' ? 'audio' : 'video';
  const extensions = usedExtensions(section, 'receive').filter(({ uri, id }) => MEDIASOUP_IDS.get(uri) === id);
  const rtcpFeedback = feedbackOf(codec, extensions);
  const format =
    wanted === 'opus'
      ? { kind: 'audio' as const, mimeType: 'audio/opus', clockRate: 48_000, channels: 2, parameters: {} }
      : videoCodec(wanted);
  return {
    mid: section.mid,
    payloadType,
    // No RTX among them: what is lost is sent again in the stream itself.
    rtpCapabilities: {
      codecs: [{ ...format, preferredPayloadType: payloadType, rtcpFeedback }],
      headerExtensions: extensions.map(({ uri, id }) => ({
        kind,
        uri,
        preferredId: id,
        preferredEncrypt: false,
        direction: 'sendrecv',
      })),
    },
    parameters: parametersOf(codec),
  };
}
