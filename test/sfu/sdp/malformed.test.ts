import * as ortc from 'mediasoup/ortc';
import { describe, expect, test } from 'vitest';
import { ROUTER_CODECS } from '../../../sfu/codecs.ts';
import { SfuError } from '../../../sfu/errors.ts';
import { buildAnswer } from '../../../sfu/sdp/answer.ts';
import { readFragment } from '../../../sfu/sdp/fragment.ts';
import { readViewOffer } from '../../../sfu/sdp/whep-offer.ts';
import { publishSections, readPublishOffer } from '../../../sfu/sdp/whip-offer.ts';
import { chance, mutate } from './mutate.ts';
import { OFFERS, offerOf } from './offers.ts';

const router = ortc.generateRouterRtpCapabilities(ROUTER_CODECS);
const ROUNDS = 500;
/** No offer may hold the main thread, on which all packets move, for long. Real ones take 0.3 ms; this machine is busy. */
const LONGEST_MS = 250;

const transport = {
  iceParameters: { usernameFragment: 'ufrag', password: 'password', iceLite: true },
  iceCandidates: [],
  dtlsParameters: { fingerprints: [{ algorithm: 'sha-256' as const, value: 'AA' }] },
};

/** Runs it; says whether it was refused. Anything thrown but an SfuError of these codes fails the test. */
function refuses(run: () => unknown, codes: readonly string[]): boolean {
  const start = performance.now();
  try {
    run();
    return false;
  } catch (error) {
    if (!(error instanceof SfuError)) throw error;
    expect(codes).toContain(error.code);
    expect(error.message.length).toBeLessThan(200);
    return true;
  } finally {
    expect(performance.now() - start).toBeLessThan(LONGEST_MS);
  }
}

describe.each(OFFERS)('%s', (name) => {
  test(`mutated ${ROUNDS} times is answered or refused, and throws nothing else`, () => {
    const random = chance(OFFERS.indexOf(name) + 1);
    let refused = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const sdp = mutate(offerOf(name), random);
      const publish = () => {
        const offer = readPublishOffer(sdp, router);
        const answer = buildAnswer({ offer, transport, sections: publishSections(offer) });
        // What mediasoup checks of parameters in JavaScript, it accepts.
        for (const track of [offer.audio, offer.video]) {
          if (track) ortc.validateAndNormalizeRtpParameters(structuredClone(track.rtpParameters));
        }
        expect(answer.match(/^m=/gm)).toHaveLength(offer.sections.length);
      };
      const codes = ['bad-offer', 'no-compatible-codec'];
      if (refuses(publish, codes)) refused += 1;
      refuses(() => readViewOffer(sdp, { video: 'vp8', audio: true }), codes);
      refuses(() => readViewOffer(sdp, { video: 'h264', audio: false }), codes);
      refuses(() => readFragment(sdp), ['bad-fragment']);
    }
    expect(refused).toBeGreaterThan(ROUNDS / 10);
  });

  test('cut off anywhere is answered or refused', () => {
    const sdp = offerOf(name);
    for (let length = 0; length < sdp.length; length += 7) {
      refuses(() => readPublishOffer(sdp.slice(0, length), router), ['bad-offer', 'no-compatible-codec']);
    }
  });
});

test(`a fragment mutated ${ROUNDS} times is read or refused, and throws nothing else`, () => {
  const section = (mid: number) => [
    `m=video 9 UDP/TLS/RTP/SAVPF 0`,
    `a=mid:${mid}`,
    'a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1',
    'a=candidate:2 1 tcp 1518280447 2001:db8::1 9 typ srflx raddr 192.0.2.1 rport 9 tcptype active generation 0',
    'a=end-of-candidates',
  ];
  const head = ['a=group:BUNDLE 0 1', 'a=ice-ufrag:EsAw', 'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1'];
  const fragment = [...head, ...section(0), ...section(1), ''].join('\r\n');
  const random = chance(7);
  let refused = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    if (refuses(() => readFragment(mutate(fragment, random)), ['bad-fragment'])) refused += 1;
  }
  expect(refused).toBeGreaterThan(ROUNDS / 10);
  expect(refused).toBeLessThan(ROUNDS);
});

test.each([
  ['null', null],
  ['a number', 7],
  ['an object', { split: () => [] }],
])('%s instead of text is refused', (_name, body) => {
  expect(refuses(() => readPublishOffer(body as unknown as string, router), ['bad-offer'])).toBe(true);
  expect(refuses(() => readFragment(body as unknown as string), ['bad-fragment'])).toBe(true);
});

test('lines made to keep regular expressions busy do not', () => {
  const worst = [
    `a=simulcast: ${' \t'.repeat(480)}`,
    `a=imageattr:96 send ${'[x=1] '.repeat(150)}`,
    `a=imageattr:96 send [${'['.repeat(900)}`,
    `a=candidate:${'1 '.repeat(450)}`,
    `a=floorid:${'1 m-stream'.repeat(90)}`,
    `a=ptime:${'1.'.repeat(450)}`,
    `a=fmtp:96 ${'a=b;'.repeat(240)}`,
    `a=ssrc-group:FID ${'7 '.repeat(480)}`,
  ];
  for (const line of worst) {
    const sdp = `${offerOf('obs-publish')}${`${line}\r\n`.repeat(40)}`;
    refuses(() => readPublishOffer(sdp, router), ['bad-offer', 'no-compatible-codec']);
    refuses(() => readFragment(sdp), ['bad-fragment']);
  }
});
