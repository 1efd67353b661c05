import * as ortc from 'mediasoup/ortc';
import { describe, expect, test } from 'vitest';
import { readViewOffer, viewRouterCodecs } from '../../../sfu/sdp/whep-offer.ts';
import { offerOf } from './offers.ts';

const chromium = offerOf('chromium-view');
const both = (video: 'vp8' | 'h264') => ({ video, audio: true });

describe('the payload types are those of the offer', () => {
  test('for VP8 and Opus', () => {
    const { audio, video, mids } = readViewOffer(chromium, both('vp8'));
    expect(mids).toEqual(['0', '1']);
    expect(audio?.payloadType).toBe(Number(/^a=rtpmap:(\d+) opus/m.exec(chromium)![1]));
    expect(video?.payloadType).toBe(Number(/^a=rtpmap:(\d+) VP8/m.exec(chromium)![1]));
    expect(video?.codec).toBe('vp8');
  });

  test('for H.264 the one of constrained baseline that may be fragmented', () => {
    const { video } = readViewOffer(chromium, both('h264'));
    const pattern = new RegExp(`^a=fmtp:${video?.payloadType} .*packetization-mode=1;profile-level-id=42e01f`, 'm');
    expect(chromium).toMatch(pattern);
    expect(video?.parameters).toEqual({
      'level-asymmetry-allowed': 1,
      'packetization-mode': 1,
      'profile-level-id': '42e01f',
    });
  });

  test('for H.264 where constrained baseline is not offered, one of a profile that includes it', () => {
    const { video } = readViewOffer(chromium.replaceAll('42e01f', 'f4001f'), both('h264'));
    expect(video?.parameters['profile-level-id']).toBe('42001f');
    // What is sent stays constrained baseline.
    expect(video?.rtpCapabilities.codecs?.[0]?.parameters?.['profile-level-id']).toBe('42e01f');
  });
});

describe('capabilities', () => {
  test('have keyframe and loss feedback, no RTX, and bandwidth feedback only with its extension at mediasoup’s id', () => {
    const { video } = readViewOffer(chromium, both('vp8'));
    expect(video?.rtpCapabilities.codecs).toHaveLength(1);
    // Chromium's ids are not mediasoup's.
    expect(video?.rtpCapabilities.headerExtensions).toEqual([]);
    expect(video?.rtpCapabilities.codecs?.[0]?.rtcpFeedback).toEqual([
      { type: 'ccm', parameter: 'fir' },
      { type: 'nack', parameter: '' },
      { type: 'nack', parameter: 'pli' },
    ]);
  });

  test('have the extensions whose ids are mediasoup’s', () => {
    const offer = chromium
      .replaceAll(/a=extmap:[145] .*\r\n/g, '')
      .replaceAll(
        /a=extmap:3 (http.*transport-wide.*)/g,
        'a=extmap:5 $1\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid',
      );
    const { video } = readViewOffer(offer, both('vp8'));
    expect(video?.rtpCapabilities.headerExtensions?.map(({ preferredId }) => preferredId).sort()).toEqual([1, 5]);
    expect(video?.rtpCapabilities.codecs?.[0]?.rtcpFeedback).toContainEqual({ type: 'transport-cc', parameter: '' });
    expect(video?.rtpCapabilities.codecs?.[0]?.rtcpFeedback).not.toContainEqual({ type: 'goog-remb', parameter: '' });
  });
});

describe('what the viewer does not take, or the stream does not have', () => {
  test('is left out', () => {
    expect(readViewOffer(chromium, { video: 'vp8', audio: false })).toMatchObject({ audio: null, mids: ['1'] });
    expect(readViewOffer(chromium, { video: null, audio: true })).toMatchObject({ video: null, mids: ['0'] });
    const soundOnly = chromium.slice(0, chromium.indexOf('m=video')).replace('BUNDLE 0 1', 'BUNDLE 0');
    expect(readViewOffer(soundOnly, both('h264'))).toMatchObject({ video: null, mids: ['0'] });
  });

  test('both ways around is refused', () => {
    const soundOnly = chromium.slice(0, chromium.indexOf('m=video')).replace('BUNDLE 0 1', 'BUNDLE 0');
    const refused = (sdp: string, video: 'vp8' | 'h264' | null, audio: boolean, code: string) =>
      expect(() => readViewOffer(sdp, { video, audio })).toThrow(expect.objectContaining({ code }));
    refused(soundOnly, 'vp8', false, 'no-compatible-codec');
    refused(chromium.replaceAll('H264/90000', 'H266/90000'), 'h264', true, 'no-compatible-codec');
    refused(offerOf('chromium-publish'), 'vp8', true, 'bad-offer');
    refused(chromium.replaceAll('recvonly', 'inactive'), 'vp8', true, 'bad-offer');
  });

  test('payload types that clash, with each other or with RTCP, are refused', () => {
    const { audio, video } = readViewOffer(chromium, both('vp8'));
    const moved = (to: number) =>
      chromium
        .replaceAll(new RegExp(`^(a=(?:rtpmap|fmtp|rtcp-fb):)${video!.payloadType} `, 'gm'), `$1${to} `)
        .replace(/^m=video 9 UDP\/TLS\/RTP\/SAVPF .*/m, `m=video 9 UDP/TLS/RTP/SAVPF ${to}`);
    const refused = { code: 'bad-offer' };
    expect(readViewOffer(moved(99), both('vp8')).video?.payloadType).toBe(99);
    for (const to of [72, audio!.payloadType]) {
      expect(() => readViewOffer(moved(to), both('vp8'))).toThrow(expect.objectContaining(refused));
    }
  });
});

describe('the router of a viewer', () => {
  test.each([
    ['sound and picture', { audio: { payloadType: 100 }, video: { payloadType: 96 } }, [100, 96]],
    ['picture alone', { audio: null, video: { payloadType: 111 } }, [112, 111]],
    ['sound alone', { audio: { payloadType: 96 }, video: null }, [96, 97]],
  ])('has its payload types: %s', (_name, tracks, expected) => {
    const codecs = viewRouterCodecs(tracks as unknown as Parameters<typeof viewRouterCodecs>[0], 'h264');
    const capabilities = ortc.generateRouterRtpCapabilities(codecs);
    const types = capabilities.codecs?.filter(({ mimeType }) => !mimeType.endsWith('rtx'));
    expect(types?.map(({ preferredPayloadType }) => preferredPayloadType)).toEqual(expected);
  });

  test('can be made for every pair of payload types', () => {
    const free = Array.from({ length: 128 }, (_, type) => type).filter((type) => type < 64 || type > 95);
    for (const audio of free) {
      for (const video of free) {
        if (audio === video) continue;
        const tracks = { audio: { payloadType: audio }, video: { payloadType: video } };
        const codecs = viewRouterCodecs(tracks as unknown as Parameters<typeof viewRouterCodecs>[0], 'vp8');
        expect(ortc.generateRouterRtpCapabilities(codecs).codecs).toHaveLength(3);
      }
    }
  });
});
