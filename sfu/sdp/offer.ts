import { type MediaDescription, parse, parseParams, type SessionDescription } from 'sdp-transform';
import { SfuError } from '../errors.ts';
import { checkText, type IceCredentials, readIceCredentials, readMid } from './bounded-text.ts';

export interface OfferedFeedback {
  readonly type: string;
  /** Empty where there is none. */
  readonly parameter: string;
}

export interface OfferedCodec {
  readonly payloadType: number;
  /** As in `a=rtpmap`, in lower case. */
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
  /** Of `a=fmtp`, by their names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly feedback: readonly OfferedFeedback[];
}

export interface OfferedExtension {
  readonly id: number;
  readonly uri: string;
  readonly direction: string;
}

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** One m= section of an offer. */
export interface OfferedSection {
  readonly kind: string;
  readonly mid: string | null;
  readonly protocol: string;
  /** The first format as it stands in the m= line, for an answer that rejects the section. */
  readonly firstFormat: string;
  /** RTP over DTLS, not disabled by its port, in the BUNDLE group where there is one. */
  readonly usable: boolean;
  readonly rtcpMux: boolean;
  readonly rtcpRsize: boolean;
  readonly direction: Direction;
  /** In the order of the m= line: the offerer's preference. */
  readonly codecs: readonly OfferedCodec[];
  readonly extensions: readonly OfferedExtension[];
  /** In the order of their first mention. */
  readonly ssrcs: readonly { readonly ssrc: number; readonly cname: string | null }[];
  readonly ssrcGroups: readonly { readonly semantics: string; readonly ssrcs: readonly number[] }[];
  /** The stream that its offerer would rather send than its other layers (RFC 8853 §5.1), or null without simulcast. */
  readonly simulcastRid: string | null;
  readonly ice: IceCredentials | null;
  readonly fingerprint: { readonly algorithm: string; readonly value: string } | null;
  readonly setup: string | null;
}

export interface Offer {
  readonly sections: readonly OfferedSection[];
  /** The mids of the (first) BUNDLE group in its order, or null where there is none. */
  readonly bundle: readonly string[] | null;
}

/** RFC 8827 §6.5: the profile that WebRTC mandates, and the one that it asks to accept as the same. */
const RTP_OVER_DTLS = /^(?:(?:UDP|TCP)\/TLS\/)?RTP\/SAVPF$/;
const MAX_CODECS_PER_SECTION = 128;

/**
 * Reads an SDP offer into what the gateway uses of it. Values are checked as far as they are read here; whether
 * anything in it is usable is for the callers to say.
 * @throws SfuError 'bad-offer'
 */
export function readOffer(sdp: string): Offer {
  checkText(sdp, 'bad-offer');
  // RFC 8866 §5.1: v= comes first.
  if (!/^v=0[ \t]*(?:\r\n|\r|\n)/.test(sdp)) throw new SfuError('bad-offer', 'the offer does not begin with v=0');
  const session = parse(sdp);
  if (session.media.length === 0) throw new SfuError('bad-offer', 'the offer has no m= line');
  const bundle = bundleOf(session);
  const sections = session.media.map((media) => readSection(media, session, bundle));
  const mids = sections.flatMap(({ mid }) => (mid === null ? [] : [mid]));
  if (new Set(mids).size < mids.length) throw new SfuError('bad-offer', 'two m= lines have the same a=mid');
  return { sections, bundle };
}

function bundleOf(session: SessionDescription): string[] | null {
  const group = session.groups?.find(({ type }) => type === 'BUNDLE');
  if (!group) return null;
  // One mid alone, when it is a number, is made one by sdp-transform.
  return [...new Set(String(group.mids).split(' ').filter(Boolean))];
}

function readSection(media: MediaDescription, session: SessionDescription, bundle: string[] | null): OfferedSection {
  if (!media.type || typeof media.port !== 'number' || !media.protocol) {
    throw new SfuError('bad-offer', 'an m= line is malformed');
  }
  const mid = readMid(media.mid, 'bad-offer');
  const formats = String(media.payloads ?? '')
    .split(' ')
    .filter(Boolean);
  // RFC 9143 §6: port 0 disables a section unless it is bundle-only.
  const disabled = media.port === 0 && media.bundleOnly === undefined;
  return {
    kind: String(media.type),
    mid,
    protocol: String(media.protocol),
    firstFormat: formats[0] ?? '0',
    usable: !disabled && RTP_OVER_DTLS.test(media.protocol) && (bundle === null || bundle.includes(mid ?? '')),
    rtcpMux: media.rtcpMux !== undefined,
    rtcpRsize: media.rtcpRsize !== undefined,
    direction: media.direction ?? session.direction ?? 'sendrecv',
    codecs: readCodecs(media, formats),
    extensions: [...(session.ext ?? []), ...(media.ext ?? [])]
      .filter((extension) => extension['encrypt-uri'] === undefined && typeof extension.value === 'number')
      .map(({ value, uri, direction }) => ({
        id: value,
        uri: String(uri),
        direction: String(direction ?? 'sendrecv'),
      })),
    ssrcs: readSsrcs(media),
    ssrcGroups: (media.ssrcGroups ?? []).map(({ semantics, ssrcs }) => ({
      semantics: String(semantics),
      ssrcs: String(ssrcs).split(' ').filter(Boolean).map(readSsrc),
    })),
    simulcastRid: simulcastRidOf(media),
    ice: readIceCredentials(media.iceUfrag ?? session.iceUfrag, media.icePwd ?? session.icePwd, 'bad-offer'),
    fingerprint: readFingerprint(media.fingerprint ?? session.fingerprint),
    setup: media.setup ?? session.setup ?? null,
  };
}

function readCodecs(media: MediaDescription, formats: readonly string[]): OfferedCodec[] {
  const codecs = new Map<number, OfferedCodec>();
  for (const format of formats) {
    if (!/^\d{1,3}$/.test(format) || Number(format) > 127) continue;
    const payloadType = Number(format);
    const map = media.rtp.find(({ payload }) => payload === payloadType);
    // Static payload types without a map are of codecs that are not used here.
    if (!map || typeof map.rate !== 'number' || codecs.has(payloadType)) continue;
    codecs.set(payloadType, {
      payloadType,
      name: String(map.codec).toLowerCase(),
      clockRate: map.rate,
      channels: Number(map.encoding ?? 1),
      parameters: readParameters(media, payloadType),
      feedback: (media.rtcpFb ?? [])
        .filter(({ payload }) => payload === payloadType || payload === '*')
        .map(({ type, subtype }) => ({ type: String(type), parameter: String(subtype ?? '') })),
    });
    if (codecs.size === MAX_CODECS_PER_SECTION) break;
  }
  return [...codecs.values()];
}

function readParameters(media: MediaDescription, payloadType: number): ReadonlyMap<string, string> {
  const line = media.fmtp.find(({ payload }) => payload === payloadType);
  const parameters = parseParams(String(line?.config ?? ''));
  return new Map(Object.entries(parameters).map(([name, value]) => [name.trim().toLowerCase(), String(value ?? '')]));
}

function simulcastRidOf({ simulcast, rids = [] }: MediaDescription): string | null {
  const sent = [
    { direction: simulcast?.dir1, list: simulcast?.list1 },
    { direction: simulcast?.dir2, list: simulcast?.list2 },
  ].find(({ direction }) => direction === 'send')?.list;
  if (sent === undefined) return null;
  // RFC 8853 §5.1: streams by ';', alternatives of one by ','; '~' marks what starts paused.
  const rid = String(sent).split(/[;,]/, 1)[0]!.replace(/^~/, '');
  // RFC 8852 §3: letters and digits, in practice also - and _.
  if (!/^[\w-]{1,16}$/.test(rid) || !rids.some(({ id, direction }) => String(id) === rid && direction === 'send')) {
    throw new SfuError('bad-offer', 'a=simulcast names a stream that has no a=rid');
  }
  return rid;
}

function readSsrcs(media: MediaDescription): OfferedSection['ssrcs'] {
  const cnames = new Map<number, string | null>();
  for (const { id, attribute, value } of media.ssrcs ?? []) {
    const ssrc = readSsrc(id);
    const cname = attribute === 'cname' && value !== undefined ? String(value).slice(0, 255) : null;
    cnames.set(ssrc, cnames.get(ssrc) ?? cname);
  }
  return [...cnames].map(([ssrc, cname]) => ({ ssrc, cname }));
}

function readSsrc(value: unknown): number {
  const ssrc = Number(value);
  if (!Number.isInteger(ssrc) || ssrc < 1 || ssrc > 0xffff_ffff) {
    throw new SfuError('bad-offer', 'an a=ssrc is not a 32-bit number above 0');
  }
  return ssrc;
}

/** Bytes of each hash that DTLS fingerprints are made with (RFC 8122 §5) and mediasoup knows. */
const HASH_BYTES: ReadonlyMap<string, number> = new Map([
  ['sha-1', 20],
  ['sha-224', 28],
  ['sha-256', 32],
  ['sha-384', 48],
  ['sha-512', 64],
]);

function readFingerprint(line: { type: string; hash: string } | undefined): OfferedSection['fingerprint'] {
  if (line === undefined) return null;
  const algorithm = String(line.type).toLowerCase();
  const value = String(line.hash).toUpperCase();
  const bytes = HASH_BYTES.get(algorithm);
  if (bytes === undefined || !/^[0-9A-F]{2}(?::[0-9A-F]{2})*$/.test(value) || value.length !== bytes * 3 - 1) {
    throw new SfuError('bad-offer', 'a=fingerprint is malformed, or of a hash that is not known');
  }
  return { algorithm, value };
}
