import type { types } from 'mediasoup';
import { type MediaDescription, parse } from 'sdp-transform';
import { SfuError } from '../errors.ts';
import { sdpCandidate } from './answer.ts';
import { checkText, type IceCredentials, readIceCredentials, readMid } from './bounded-text.ts';

/** Candidates of one fragment; a client on many networks has a few dozen. */
const MAX_CANDIDATES = 256;

export interface FragmentCandidate {
  /** Of the section that it stands in; null before the first one. */
  readonly mid: string | null;
  readonly transport: 'udp' | 'tcp';
  /** An address, or a name (RFC 8839 §5.1; browsers hide addresses behind `.local` names). */
  readonly address: string;
  readonly port: number;
}

/** An SDP fragment of a client (RFC 8840 §9). */
export interface Fragment {
  /** Of the ICE session that the candidates belong to; new ones ask for an ICE restart. */
  readonly iceParameters: IceCredentials;
  readonly mids: readonly string[];
  /** Without those whose transport is unknown, which are passed over (RFC 8839 §5.1). */
  readonly candidates: readonly FragmentCandidate[];
}

/**
 * Reads an `application/trickle-ice-sdpfrag` body.
 * @throws SfuError 'bad-fragment'
 */
export function readFragment(text: string): Fragment {
  checkText(text, 'bad-fragment');
  const session = parse(text);
  // RFC 8840 §9.2: at session level, or in each section alike; with BUNDLE there is one pair.
  const pairs = [session, ...session.media].flatMap(({ iceUfrag, icePwd }) => {
    const pair = readIceCredentials(iceUfrag, icePwd, 'bad-fragment');
    return pair === null ? [] : [pair];
  });
  const iceParameters = pairs[0];
  if (!iceParameters) throw new SfuError('bad-fragment', 'the fragment has no a=ice-ufrag and a=ice-pwd');
  if (pairs.some((pair) => pair.usernameFragment !== iceParameters.usernameFragment)) {
    throw new SfuError('bad-fragment', 'the fragment has ICE credentials of more than one session');
  }
  const mids: string[] = [];
  for (const { mid } of session.media) {
    const read = readMid(mid, 'bad-fragment');
    if (read === null) throw new SfuError('bad-fragment', 'an m= line of the fragment has no a=mid');
    if (mids.includes(read)) throw new SfuError('bad-fragment', 'two m= lines of the fragment have the same a=mid');
    mids.push(read);
  }
  // A candidate that sdp-transform can't read stays in `invalid`.
  const unread = [session, ...session.media].flatMap(({ invalid }) => invalid ?? []);
  if (unread.some(({ value }) => /^candidate\b/.test(String(value)))) {
    throw new SfuError('bad-fragment', 'an a=candidate of the fragment is malformed');
  }
  const loose = (session as Pick<MediaDescription, 'candidates'>).candidates ?? [];
  const all = [
    ...loose.map((candidate) => ({ mid: null, candidate })),
    ...session.media.flatMap(({ candidates }, index) =>
      (candidates ?? []).map((candidate) => ({ mid: mids[index]!, candidate })),
    ),
  ];
  if (all.length > MAX_CANDIDATES) {
    throw new SfuError('bad-fragment', `the fragment has more than ${MAX_CANDIDATES} candidates`);
  }
  return { iceParameters, mids, candidates: all.flatMap(({ mid, candidate }) => readCandidate(mid, candidate)) };
}

function readCandidate(
  mid: string | null,
  candidate: NonNullable<MediaDescription['candidates']>[number],
): FragmentCandidate[] {
  const transport = String(candidate.transport).toLowerCase();
  const address = String(candidate.ip);
  const { port } = candidate;
  const valid =
    typeof port === 'number' && port <= 65_535 && typeof candidate.priority === 'number' && candidate.priority > 0;
  if (!valid || !/^[0-9A-Za-z.:%-]{1,255}$/.test(address)) {
    throw new SfuError('bad-fragment', 'an a=candidate of the fragment is malformed');
  }
  return transport === 'udp' || transport === 'tcp' ? [{ mid, transport, address, port }] : [];
}

/**
 * The fragment that answers an ICE restart.
 * @param sections of the session in the order of its BUNDLE group; the candidates stand in the first
 * @returns a fragment with CRLF line ends
 */
export function buildFragment(
  iceParameters: types.IceParameters,
  candidates: readonly types.IceCandidate[],
  sections: readonly { readonly kind: string; readonly mid: string }[],
): string {
  const lines = ['a=ice-lite', `a=ice-ufrag:${iceParameters.usernameFragment}`, `a=ice-pwd:${iceParameters.password}`];
  if (sections.length > 0) lines.push(`a=group:BUNDLE ${sections.map(({ mid }) => mid).join(' ')}`);
  // RFC 8840 §9.2: the m= line only leads to the mid; its port and format mean nothing.
  for (const { kind, mid } of sections.slice(0, 1)) {
    lines.push(`m=${kind} 9 UDP/TLS/RTP/SAVPF 0`, `a=mid:${mid}`, ...candidates.map(candidateLine));
    lines.push('a=end-of-candidates');
  }
  return `${lines.join('\r\n')}\r\n`;
}

function candidateLine(candidate: types.IceCandidate): string {
  const { foundation, component, transport, priority, ip, port, type, tcptype } = sdpCandidate(candidate);
  const line = `a=candidate:${foundation} ${component} ${transport} ${priority} ${ip} ${port} typ ${type}`;
  return tcptype === undefined ? line : `${line} tcptype ${tcptype}`;
}
