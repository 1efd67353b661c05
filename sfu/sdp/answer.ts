import { randomInt } from 'node:crypto';
import type { types } from 'mediasoup';
import { type MediaDescription, type SessionDescription, write } from 'sdp-transform';
import { SfuError } from '../errors.ts';
import type { Offer, OfferedSection } from './offer.ts';
import type { RemotePeer } from './remote-peer.ts';

/** Our side of the transport, as mediasoup gives it. */
export interface LocalTransport {
  readonly iceParameters: types.IceParameters;
  readonly iceCandidates: readonly types.IceCandidate[];
  readonly dtlsParameters: types.DtlsParameters;
}

/** One section of the offer that is accepted. */
export interface AnswerSection {
  readonly mid: string;
  /** `recvonly` for what is published to us, `sendonly` for what is viewed. */
  readonly direction: 'recvonly' | 'sendonly';
  /** What the section is for: codecs with their payload types, extensions, and for `sendonly` the SSRC and CNAME. */
  readonly rtpParameters: types.RtpParameters;
  /** For `sendonly`: names of the MediaStream and its track (RFC 8830), tokens. */
  readonly msid?: { readonly stream: string; readonly track: string };
}

export interface AnswerOptions {
  readonly offer: Offer & RemotePeer;
  readonly transport: LocalTransport;
  readonly sections: readonly AnswerSection[];
}

/** RFC 8829 §5.2.1: the port of a section whose candidates are told elsewhere. */
const DISCARD_PORT = 9;
/** RFC 8829 §5.2.1: below 2^63. That of a JavaScript number is plenty. */
const MAX_SESSION_ID = 2 ** 48 - 1;

/**
 * The answer of an ICE-lite server to an offer: the accepted sections on one transport, the others rejected.
 * @returns SDP with CRLF line ends
 * @throws SfuError 'bad-parameters' when an accepted section is not of the offer
 */
export function buildAnswer({ offer, transport, sections }: AnswerOptions): string {
  const accepted = new Map(sections.map((section) => [section.mid, section]));
  if (accepted.size === 0 || ![...accepted.keys()].every((mid) => offer.mids.includes(mid))) {
    throw new SfuError('bad-parameters', 'the answer accepts what the offer does not have');
  }
  const mids = offer.mids.filter((mid) => accepted.has(mid));
  const session: SessionDescription = {
    version: 0,
    origin: {
      username: '-',
      sessionId: randomInt(1, MAX_SESSION_ID),
      sessionVersion: 1,
      netType: 'IN',
      ipVer: 4,
      address: '0.0.0.0',
    },
    name: '-',
    timing: { start: 0, stop: 0 },
    icelite: 'ice-lite',
    msidSemantic: { semantic: 'WMS', token: '*' },
    ...(offer.bundle === null ? {} : { groups: [{ type: 'BUNDLE', mids: mids.join(' ') }] }),
    media: offer.sections.map((offered) => {
      const section = offered.mid === null ? undefined : accepted.get(offered.mid);
      if (section === undefined) return rejected(offered);
      // RFC 9143 §7.1.3: the candidates of a bundled transport stand in its first section.
      const candidates = offered.mid === mids[0] ? transport.iceCandidates : [];
      return acceptedSection(offered, section, transport, candidates, offer.dtlsParameters.role);
    }),
  };
  return write(session);
}

function rejected({ kind, protocol, firstFormat, mid }: OfferedSection): MediaDescription {
  return {
    type: kind,
    // RFC 3264 §6: port 0 rejects.
    port: 0,
    protocol,
    payloads: firstFormat,
    connection: { version: 4, ip: '0.0.0.0' },
    rtp: [],
    fmtp: [],
    ...(mid === null ? {} : { mid }),
    direction: 'inactive',
  };
}

function acceptedSection(
  offered: OfferedSection,
  { mid, direction, rtpParameters, msid }: AnswerSection,
  { iceParameters, dtlsParameters }: LocalTransport,
  candidates: readonly types.IceCandidate[],
  remoteRole: types.DtlsRole | undefined,
): MediaDescription {
  const { codecs, headerExtensions = [] } = rtpParameters;
  const sent = direction === 'sendonly';
  return {
    type: offered.kind,
    port: DISCARD_PORT,
    protocol: offered.protocol,
    payloads: codecs.map(({ payloadType }) => payloadType).join(' '),
    connection: { version: 4, ip: '0.0.0.0' },
    iceUfrag: iceParameters.usernameFragment,
    icePwd: iceParameters.password,
    fingerprint: fingerprintOf(dtlsParameters),
    setup: remoteRole === 'server' ? 'active' : 'passive',
    mid,
    ext: headerExtensions.map(({ uri, id }) => ({ value: id, uri })),
    direction,
    ...(sent && msid ? { msid: [{ id: msid.stream, appdata: msid.track }] } : {}),
    rtcpMux: 'rtcp-mux',
    ...(offered.rtcpRsize ? { rtcpRsize: 'rtcp-rsize' as const } : {}),
    rtp: codecs.map(({ payloadType, mimeType, clockRate, channels }) => ({
      payload: payloadType,
      codec: mimeType.slice(mimeType.indexOf('/') + 1),
      rate: clockRate,
      ...(channels !== undefined && channels > 1 ? { encoding: channels } : {}),
    })),
    rtcpFb: codecs.flatMap(({ payloadType, rtcpFeedback = [] }) =>
      rtcpFeedback.map(({ type, parameter }) => ({
        payload: payloadType,
        type,
        ...(parameter ? { subtype: parameter } : {}),
      })),
    ),
    fmtp: codecs.flatMap(({ payloadType, parameters = {} }) => {
      const config = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
      return config.length === 0 ? [] : [{ payload: payloadType, config: config.join(';') }];
    }),
    ...(sent ? { ssrcs: ssrcsOf(rtpParameters) } : simulcastOf(rtpParameters)),
    ...(candidates.length === 0
      ? {}
      : { candidates: candidates.map(sdpCandidate), endOfCandidates: 'end-of-candidates' as const }),
  };
}

/** SHA-256 is the one that every WebRTC client knows (RFC 8827 §6.5). */
function fingerprintOf({ fingerprints }: types.DtlsParameters): { type: string; hash: string } {
  const found = fingerprints.find(({ algorithm }) => algorithm === 'sha-256');
  if (!found) throw new SfuError('bad-parameters', 'the transport has no sha-256 fingerprint');
  return { type: found.algorithm, hash: found.value };
}

function ssrcsOf({ encodings = [], rtcp }: types.RtpParameters): NonNullable<MediaDescription['ssrcs']> {
  return encodings.flatMap(({ ssrc }) =>
    ssrc === undefined ? [] : [{ id: ssrc, attribute: 'cname', value: rtcp?.cname ?? '-' }],
  );
}

/** RFC 8853 §5.3.2: the one layer that is taken of those offered. */
function simulcastOf({ encodings = [] }: types.RtpParameters): Partial<MediaDescription> {
  const rid = encodings[0]?.rid;
  if (rid === undefined) return {};
  return { rids: [{ id: rid, direction: 'recv' }], simulcast: { dir1: 'recv', list1: rid } };
}

/** RFC 8839 §5.1, and for TCP RFC 6544 §4.5: a server waits for its clients, it is `passive`. */
export function sdpCandidate(candidate: types.IceCandidate): NonNullable<MediaDescription['candidates']>[number] {
  const { foundation, priority, address, port, protocol, type } = candidate;
  return {
    foundation,
    component: 1,
    transport: protocol,
    priority,
    ip: address,
    port,
    type,
    ...(protocol === 'tcp' ? { tcptype: 'passive' } : {}),
  };
}
