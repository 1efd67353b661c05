import * as ortc from 'mediasoup/ortc';
import { parse } from 'sdp-transform';
import { describe, expect, test } from 'vitest';
import { ROUTER_CODECS } from '../../../sfu/codecs.ts';
import { buildAnswer, type LocalTransport } from '../../../sfu/sdp/answer.ts';
import { readViewOffer, viewSections } from '../../../sfu/sdp/whep-offer.ts';
import { publishSections, readPublishOffer } from '../../../sfu/sdp/whip-offer.ts';
import { OFFERS, offerOf } from './offers.ts';

const router = ortc.generateRouterRtpCapabilities(ROUTER_CODECS);

const candidate = { foundation: 'udpcandidate', priority: 1076302079, port: 40000, type: 'host' as const };
const transport: LocalTransport = {
  iceParameters: { usernameFragment: 'serverufrag', password: 'server-password-of-ice', iceLite: true },
  iceCandidates: [
    { ...candidate, protocol: 'udp', ip: '192.0.2.1', address: '192.0.2.1' },
    { ...candidate, foundation: 'tcp', protocol: 'tcp', ip: '2001:db8::1', address: '2001:db8::1', tcpType: 'passive' },
  ],
  dtlsParameters: {
    role: 'auto',
    fingerprints: [
      { algorithm: 'sha-1', value: '00:11' },
      { algorithm: 'sha-256', value: 'AA:BB' },
    ],
  },
};

function publishAnswer(sdp: string): string {
  const offer = readPublishOffer(sdp, router);
  return buildAnswer({ offer, transport, sections: publishSections(offer) });
}

test.each(OFFERS.filter((name) => name !== 'chromium-view'))('mirrors the m= lines and mids of %s', (name) => {
  const sdp = offerOf(name);
  const answer = parse(publishAnswer(sdp));
  const shape = ({ media }: ReturnType<typeof parse>) =>
    media.map(({ type, mid, protocol }) => ({ type, mid, protocol }));
  expect(shape(answer)).toEqual(shape(parse(sdp)));
  for (const { type, port, direction } of answer.media) {
    expect([port, direction]).toEqual(type === 'application' ? [0, 'inactive'] : [9, 'recvonly']);
  }
});

test('is that of an ICE-lite server: credentials, fingerprint and roles in each section, candidates in the first', () => {
  const text = publishAnswer(offerOf('chromium-publish'));
  const { icelite, groups, media } = parse(text);
  expect(icelite).toBe('ice-lite');
  expect(groups).toEqual([{ type: 'BUNDLE', mids: '0 1' }]);
  for (const section of media) {
    expect(section).toMatchObject({
      iceUfrag: 'serverufrag',
      icePwd: 'server-password-of-ice',
      fingerprint: { type: 'sha-256', hash: 'AA:BB' },
      setup: 'passive',
      rtcpMux: 'rtcp-mux',
      rtcpRsize: 'rtcp-rsize',
    });
    expect(section.ssrcs).toBeUndefined();
  }
  expect(text.match(/^a=candidate:.*$/gm)).toEqual([
    'a=candidate:udpcandidate 1 udp 1076302079 192.0.2.1 40000 typ host',
    'a=candidate:tcp 1 tcp 1076302079 2001:db8::1 40000 typ host tcptype passive',
  ]);
  expect(media[0]?.endOfCandidates).toBe('end-of-candidates');
  expect(text.endsWith('\r\n')).toBe(true);
});

test('names one video format, its retransmissions, feedback and extensions as they were offered', () => {
  const video = parse(publishAnswer(offerOf('chromium-publish'))).media[1]!;
  expect(video.payloads).toBe('96 97');
  expect(video.rtp).toEqual([
    { payload: 96, codec: 'VP8', rate: 90000 },
    { payload: 97, codec: 'rtx', rate: 90000 },
  ]);
  expect(video.fmtp).toEqual([{ payload: 97, config: 'apt=96' }]);
  expect(video.ext?.map(({ value }) => value)).toEqual([2, 3, 4]);
  expect(video.rtcpFb?.map(({ type, subtype }) => `${type} ${subtype ?? ''}`.trim())).toEqual([
    'transport-cc',
    'ccm fir',
    'nack',
    'nack pli',
  ]);
});

describe('setup', () => {
  test.each([
    ['actpass', 'passive'],
    ['active', 'passive'],
    ['passive', 'active'],
  ])('an offer of %s is answered %s', (offered, answered) => {
    const text = publishAnswer(offerOf('chromium-publish').replaceAll('setup:actpass', `setup:${offered}`));
    expect(text.match(/^a=setup:.*$/gm)).toEqual([`a=setup:${answered}`, `a=setup:${answered}`]);
  });
});

test('rejects what is not taken, and bundles only what is', () => {
  const sdp = offerOf('chromium-publish').replace('a=sendonly', 'a=inactive');
  const { groups, media } = parse(publishAnswer(sdp));
  expect(groups?.[0]?.mids).toBe(1);
  expect(media.map(({ port }) => port)).toEqual([0, 9]);
  expect(media[0]?.iceUfrag).toBeUndefined();
  // The transport's first section is the first accepted one.
  expect(media[1]?.candidates).toHaveLength(2);
});

test('to a viewer names its stream, SSRC and CNAME, and the format as the viewer offered it', () => {
  const offer = readViewOffer(offerOf('chromium-view').replaceAll('42e01f', '42e034'), { video: 'h264', audio: true });
  const { payloadType } = offer.video!;
  const sent = {
    codecs: [
      { mimeType: 'video/H264' as const, payloadType, clockRate: 90_000, parameters: { 'profile-level-id': '42e01f' } },
    ],
    encodings: [{ ssrc: 1234 }],
    rtcp: { cname: 'gateway' },
  };
  const sections = viewSections(offer, { audio: null, video: sent }, 'street-1');
  const media = parse(buildAnswer({ offer, transport, sections })).media;
  expect(media.map(({ port }) => port)).toEqual([0, 9]);
  expect(media[1]).toMatchObject({
    direction: 'sendonly',
    msid: [{ id: 'street-1', appdata: 'street-1-video' }],
    ssrcs: [{ id: 1234, attribute: 'cname', value: 'gateway' }],
    fmtp: [{ payload: payloadType, config: expect.stringContaining('profile-level-id=42e034') }],
  });
});

test('two answers are two sessions', () => {
  const origin = () => parse(publishAnswer(offerOf('obs-publish'))).origin.sessionId;
  expect(origin()).not.toBe(origin());
});

test('accepting what was not offered is refused', () => {
  const offer = readPublishOffer(offerOf('obs-publish'), router);
  const sections = publishSections(offer).map((section) => ({ ...section, mid: '7' }));
  expect(() => buildAnswer({ offer, transport, sections })).toThrow(
    expect.objectContaining({ code: 'bad-parameters' }),
  );
});
