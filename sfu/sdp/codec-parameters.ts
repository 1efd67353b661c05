import type { types } from 'mediasoup';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { DEFAULT_PROFILE_LEVEL_ID, h264ProfileOf } from './h264-profile.ts';
import { ABS_SEND_TIME, TRANSPORT_CC } from './header-extensions.ts';
import type { OfferedCodec, OfferedSection } from './offer.ts';

/** Parameters that are taken over from an offer, all of them whole numbers: RFC 7587 §6.1, RFC 6184 §8.1, RFC 7741 §6.1. */
const WHOLE_NUMBERS: Readonly<Record<string, readonly string[]>> = {
  opus: [
    'minptime',
    'useinbandfec',
    'stereo',
    'sprop-stereo',
    'usedtx',
    'cbr',
    'maxplaybackrate',
    'maxaveragebitrate',
    'sprop-maxcapturerate',
  ],
  h264: ['level-asymmetry-allowed', 'packetization-mode'],
  vp8: ['max-fr', 'max-fs'],
};

const FEEDBACK: ReadonlySet<string> = new Set(['nack', 'nack pli', 'ccm fir', 'goog-remb', 'transport-cc']);

/** Parameters of an offered codec for mediasoup, and for the answer. */
export function parametersOf(codec: OfferedCodec): Record<string, string | number> {
  const parameters: Record<string, string | number> = {};
  for (const name of WHOLE_NUMBERS[codec.name] ?? []) {
    const value = codec.parameters.get(name);
    if (value !== undefined && /^\d{1,9}$/.test(value)) parameters[name] = Number(value);
  }
  if (codec.name === 'h264') parameters['profile-level-id'] = profileLevelIdOf(codec);
  return parameters;
}

/** As offered, in lower case, or what stands for it where it is absent. */
export function profileLevelIdOf(codec: OfferedCodec): string {
  return (codec.parameters.get('profile-level-id') ?? DEFAULT_PROFILE_LEVEL_ID).toLowerCase();
}

/**
 * The feedback of an offered codec that is taken up: losses, keyframes, and one way of bandwidth estimation, the better
 * one whose header extension is there.
 */
export function feedbackOf(codec: OfferedCodec, extensions: readonly { uri: string }[]): types.RtcpFeedback[] {
  const has = (wanted: string) => extensions.some(({ uri }) => uri === wanted);
  const transportCc = has(TRANSPORT_CC) && codec.feedback.some(({ type }) => type === 'transport-cc');
  const remb = !transportCc && has(ABS_SEND_TIME);
  const seen = new Set<string>();
  return codec.feedback
    .filter(({ type, parameter }) => {
      const name = `${type} ${parameter}`.trim();
      if (!FEEDBACK.has(name) || seen.has(name)) return false;
      seen.add(name);
      return (type !== 'transport-cc' || transportCc) && (type !== 'goog-remb' || remb);
    })
    .map(({ type, parameter }) => ({ type, parameter }));
}

/** An Opus entry is 48000/2 whatever is in it (RFC 7587 §7). */
export function opusCodecsOf(section: OfferedSection): OfferedCodec[] {
  return section.codecs.filter(
    ({ name, clockRate, channels }) => name === 'opus' && clockRate === 48_000 && channels === 2,
  );
}

/** VP8, and H.264 that may be fragmented (packetization-mode 1) and of a profile that is known, in the offer's order. */
export function videoCodecsOf(section: OfferedSection): (OfferedCodec & { readonly name: VideoCodec })[] {
  return section.codecs.filter((codec): codec is OfferedCodec & { readonly name: VideoCodec } => {
    if (codec.clockRate !== 90_000) return false;
    if (codec.name === 'vp8') return true;
    return (
      codec.name === 'h264' &&
      codec.parameters.get('packetization-mode') === '1' &&
      h264ProfileOf(profileLevelIdOf(codec)) !== null
    );
  });
}

/** The retransmission format of a codec (RFC 4588 §8.6), or null where none is offered. */
export function rtxPayloadTypeOf(section: OfferedSection, codec: OfferedCodec): number | null {
  const apt = String(codec.payloadType);
  const rtx = section.codecs.find(
    ({ name, clockRate, parameters }) => name === 'rtx' && clockRate === 90_000 && parameters.get('apt') === apt,
  );
  return rtx?.payloadType ?? null;
}
