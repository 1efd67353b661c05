import * as ortc from 'mediasoup/ortc';
import { describe, expect, test } from 'vitest';
import { ROUTER_CODECS } from '../../../sfu/codecs.ts';
import { SfuError } from '../../../sfu/errors.ts';
import { readPublishOffer } from '../../../sfu/sdp/whip-offer.ts';
import { offerOf } from './offers.ts';

const router = ortc.generateRouterRtpCapabilities(ROUTER_CODECS);
const read = (sdp: string) => readPublishOffer(sdp, router);

/** What reading throws. */
function refusal(sdp: string, capabilities = router): SfuError {
  try {
    readPublishOffer(sdp, capabilities);
  } catch (error) {
    if (error instanceof SfuError) return error;
    throw error;
  }
  throw new Error('the offer was taken');
}

/** Leaves out the lines that match. */
const without = (sdp: string, line: RegExp) =>
  sdp
    .split('\r\n')
    .filter((one) => !line.test(one))
    .join('\r\n');

describe('who publishes', () => {
  test('Chromium: VP8, RTX, both SSRCs, its own payload types and extension ids', () => {
    const { audio, video, dtlsParameters, iceParameters, mids } = read(offerOf('chromium-publish'));
    expect(mids).toEqual(['0', '1']);
    expect(dtlsParameters.role).toBe('client');
    expect(dtlsParameters.fingerprints).toEqual([{ algorithm: 'sha-256', value: expect.stringMatching(/^AB:D7:/) }]);
    expect(iceParameters).toEqual({ usernameFragment: 'Sc7p', password: 'kwf9xdb6x2AvGD7Rbj7Rhj6L' });
    expect(video?.codec).toBe('vp8');
    expect(video?.rtpParameters).toEqual({
      mid: '1',
      codecs: [
        {
          mimeType: 'video/VP8',
          payloadType: 96,
          clockRate: 90_000,
          parameters: {},
          rtcpFeedback: [
            { type: 'transport-cc', parameter: '' },
            { type: 'ccm', parameter: 'fir' },
            { type: 'nack', parameter: '' },
            { type: 'nack', parameter: 'pli' },
          ],
        },
        { mimeType: 'video/rtx', payloadType: 97, clockRate: 90_000, parameters: { apt: 96 }, rtcpFeedback: [] },
      ],
      headerExtensions: [
        expect.objectContaining({ id: 2, uri: expect.stringContaining('abs-send-time') }),
        expect.objectContaining({ id: 3, uri: expect.stringContaining('transport-wide-cc') }),
        expect.objectContaining({ id: 4, uri: 'urn:ietf:params:rtp-hdrext:sdes:mid' }),
      ],
      encodings: [{ ssrc: 1331146207, rtx: { ssrc: 2087896263 } }],
      rtcp: { cname: 'rHwfwQ6JdXxvnktA', reducedSize: true },
    });
    expect(audio?.rtpParameters.codecs).toEqual([
      {
        mimeType: 'audio/opus',
        payloadType: 111,
        clockRate: 48_000,
        channels: 2,
        parameters: { minptime: 10, useinbandfec: 1 },
        rtcpFeedback: [{ type: 'transport-cc', parameter: '' }],
      },
    ]);
    expect(audio?.rtpParameters.encodings).toEqual([{ ssrc: 3691848684 }]);
  });

  test('FFmpeg: H.264 of a level of its own, its DTLS side the server', () => {
    const { video, dtlsParameters } = read(offerOf('ffmpeg-whip'));
    expect(dtlsParameters.role).toBe('server');
    expect(video?.codec).toBe('h264');
    expect(video?.rtpParameters.codecs[0]).toMatchObject({
      payloadType: 106,
      parameters: { 'packetization-mode': 1, 'profile-level-id': '42400d', 'level-asymmetry-allowed': 1 },
      rtcpFeedback: [{ type: 'nack', parameter: '' }],
    });
    expect(video?.rtpParameters.encodings).toEqual([{ ssrc: 2456596022, rtx: { ssrc: 2456596023 } }]);
    expect(video?.rtpParameters.rtcp?.cname).toBe('FFmpeg');
  });

  test('Firefox: fingerprint of the session, VP8 before H.264, numbers in its parameters', () => {
    const { video, audio, dtlsParameters } = read(offerOf('firefox-publish'));
    expect(dtlsParameters.fingerprints[0]?.value).toMatch(/^6B:8B:/);
    expect(video?.rtpParameters.codecs[0]).toMatchObject({
      payloadType: 120,
      parameters: { 'max-fs': 12288, 'max-fr': 60 },
    });
    expect(video?.rtpParameters.codecs[1]?.payloadType).toBe(124);
    expect(audio?.rtpParameters.codecs[0]?.parameters).toEqual({ useinbandfec: 1, stereo: 1, maxplaybackrate: 48000 });
    expect(audio?.rtpParameters.rtcp?.cname).toBe('{735484ea-4f6c-f74a-bd66-7425f8476c2e}');
  });

  test('OBS: H.264 without RTX and extensions', () => {
    const { video } = read(offerOf('obs-publish'));
    expect(video?.codec).toBe('h264');
    expect(video?.rtpParameters.codecs).toHaveLength(1);
    expect(video?.rtpParameters.encodings).toEqual([{ ssrc: 2147483002 }]);
    // REMB without abs-send-time estimates nothing.
    expect(video?.rtpParameters.codecs[0]?.rtcpFeedback).toEqual([
      { type: 'nack', parameter: '' },
      { type: 'nack', parameter: 'pli' },
    ]);
  });

  test('werift: a user name fragment of digits alone stays text', () => {
    const { iceParameters, video } = read(offerOf('werift-publish'));
    expect(iceParameters.usernameFragment).toBe('7607');
    expect(video?.codec).toBe('vp8');
  });

  test('with simulcast: the first layer by its rid, and a data channel that is left out', () => {
    const { video, sections, mids } = read(offerOf('chromium-simulcast'));
    expect(video?.rtpParameters.encodings).toEqual([{ rid: 'h' }]);
    expect(video?.rtpParameters.headerExtensions?.map(({ uri }) => uri.split(':').at(-1))).toContain('rtp-stream-id');
    expect(sections.map(({ kind }) => kind)).toEqual(['audio', 'video', 'application']);
    expect(mids).toEqual(['0', '1']);
  });
});

describe('the codec', () => {
  const h264First = (sdp: string, types: string) =>
    sdp.replace(/^m=video 9 UDP\/TLS\/RTP\/SAVPF .*/m, `m=video 9 UDP/TLS/RTP/SAVPF ${types}`);

  test('is the first of the offer that the router takes', () => {
    expect(read(h264First(offerOf('chromium-publish'), '98 108 109 96 97')).video).toMatchObject({
      codec: 'h264',
      rtpParameters: { codecs: [{ payloadType: 108 }, { payloadType: 109 }] },
    });
    const vp8Only = ortc.generateRouterRtpCapabilities(ROUTER_CODECS.slice(0, 2));
    expect(readPublishOffer(h264First(offerOf('chromium-publish'), '108 109 96'), vp8Only).video?.codec).toBe('vp8');
  });

  test('is not H.264 that cannot be fragmented', () => {
    expect(refusal(h264First(offerOf('chromium-publish'), '104 107 114 115')).code).toBe('no-compatible-codec');
  });

  test.each(['42e01f', '42C02A', '42001f', '4d0028', '640032', '640c1f'])('may be H.264 of profile %s', (profile) => {
    const offer = offerOf('obs-publish').replace('profile-level-id=42e01f', `profile-level-id=${profile}`);
    expect(read(offer).video?.rtpParameters.codecs[0]?.parameters?.['profile-level-id']).toBe(profile.toLowerCase());
  });

  test.each(['f4001f', '7a1028', 'zzzzzz', '42e0'])('is not H.264 of profile %j', (profile) => {
    const offer = offerOf('obs-publish').replace('profile-level-id=42e01f', `profile-level-id=${profile}`);
    expect(refusal(offer).code).toBe('no-compatible-codec');
  });

  test('of AV1, VP9 or sound other than Opus is refused, and said so', () => {
    const error = refusal(h264First(offerOf('chromium-publish'), '45 98 100'));
    expect(error.code).toBe('no-compatible-codec');
    expect(error.message).toContain('VP8');
    const sound = offerOf('chromium-publish').replace(/^(m=audio .*) 111 63 9 0 8.*/m, '$1 9 0 8');
    expect(refusal(sound)).toMatchObject({ code: 'no-compatible-codec', message: expect.stringContaining('Opus') });
  });
});

describe('sections', () => {
  test('that are not sent, or disabled, are passed over', () => {
    const sdp = offerOf('chromium-publish');
    const video = sdp.indexOf('m=video');
    const listening = sdp.slice(0, video).replace('a=sendonly', 'a=recvonly') + sdp.slice(video);
    expect(read(listening)).toMatchObject({ audio: null, mids: ['1'], video: { mid: '1' } });
    expect(read(sdp.replace(/^m=audio \d+/m, 'm=audio 0'))).toMatchObject({ audio: null, mids: ['1'] });
    expect(refusal(sdp.replaceAll('a=sendonly', 'a=inactive')).code).toBe('bad-offer');
  });

  test('bundle-only ones have port 0 and are taken', () => {
    const sdp = offerOf('chromium-publish').replace(/^m=video 9 (.*)/m, 'm=video 0 $1\r\na=bundle-only');
    expect(read(sdp).video?.codec).toBe('vp8');
  });

  test('of several with video the first that can be used is taken', () => {
    const sdp = offerOf('chromium-publish');
    const video = sdp.slice(sdp.indexOf('m=video'));
    const second = video.replace('a=mid:1', 'a=mid:2').replaceAll('1331146207', '77').replaceAll('2087896263', '78');
    const three = `${sdp.replace('BUNDLE 0 1', 'BUNDLE 0 1 2')}${second}`;
    expect(read(three)).toMatchObject({ mids: ['0', '1'], video: { mid: '1' } });
    const unusable = three.replace(/^m=video 9 UDP\/TLS\/RTP\/SAVPF .*/m, 'm=video 9 UDP/TLS/RTP/SAVPF 98');
    expect(read(unusable)).toMatchObject({ mids: ['0', '2'], video: { mid: '2' } });
  });

  test('outside the BUNDLE group are passed over; without a group there can be one', () => {
    expect(read(offerOf('chromium-publish').replace('BUNDLE 0 1', 'BUNDLE 1'))).toMatchObject({ audio: null });
    expect(refusal(without(offerOf('chromium-publish'), /^a=group/)).message).toContain('BUNDLE');
  });

  test('their transport is that of the first one of the group', () => {
    const sdp = offerOf('chromium-publish').replace('BUNDLE 0 1', 'BUNDLE 1 0');
    const video = sdp.indexOf('m=video');
    const two = sdp.slice(0, video) + sdp.slice(video).replace('a=ice-ufrag:Sc7p', 'a=ice-ufrag:ViDe');
    expect(read(two)).toMatchObject({ mids: ['1', '0'], iceParameters: { usernameFragment: 'ViDe' } });
  });

  test('without a=ssrc are known by the mid that their packets carry', () => {
    const sdp = without(offerOf('chromium-publish'), /^a=ssrc/);
    expect(read(sdp).video?.rtpParameters.encodings).toEqual([{}]);
    expect(refusal(without(sdp, /sdes:mid/)).message).toContain('mid header extension');
  });

  test('with RTX whose SSRC is not told repair losses without RTX', () => {
    const { video } = read(without(offerOf('chromium-publish'), /^a=ssrc-group/));
    expect(video?.rtpParameters.codecs).toHaveLength(1);
    expect(video?.rtpParameters.encodings).toEqual([{ ssrc: 1331146207 }]);
  });

  test('with SSRC-signalled simulcast give their first layer', () => {
    const sdp = offerOf('chromium-publish').replace(
      /^a=ssrc-group:FID.*/m,
      (fid) => `a=ssrc-group:SIM 1331146207 5\r\n${fid}`,
    );
    expect(read(sdp).video?.rtpParameters.encodings).toEqual([{ ssrc: 1331146207, rtx: { ssrc: 2087896263 } }]);
  });

  test('with rids, but no way to tell them in packets, give one stream by its mid', () => {
    const sdp = without(offerOf('chromium-simulcast'), /sdes:r/);
    expect(read(sdp).video?.rtpParameters.encodings).toEqual([{}]);
  });
});

describe('what is missing is named', () => {
  test.each([
    ['v=', /^v=/, 'v=0'],
    ['m=', /^m=/, 'm= line'],
    ['a=mid', /^a=mid/, 'a=mid'],
    ['a=rtcp-mux', /^a=rtcp-mux/, 'a=rtcp-mux'],
    ['a=ice-ufrag', /^a=ice-ufrag/, 'a=ice-ufrag'],
    ['a=ice-pwd', /^a=ice-pwd/, 'a=ice-pwd'],
    ['a=fingerprint', /^a=fingerprint/, 'a=fingerprint'],
  ])('%s', (_name, line, words) => {
    const sdp = without(offerOf('chromium-publish'), line).replace(/a=group.*\r\n/, line.test('a=mid') ? '' : '$&');
    expect(refusal(sdp)).toMatchObject({ code: 'bad-offer', message: expect.stringContaining(words) });
  });

  test.each([
    ['a fingerprint cut short', (sdp: string) => sdp.replaceAll(/^(a=fingerprint:sha-256 .{20}).*/gm, '$1')],
    ['a fingerprint of an unknown hash', (sdp: string) => sdp.replaceAll('sha-256', 'md5')],
    ['a setup of holdconn', (sdp: string) => sdp.replaceAll('setup:actpass', 'setup:holdconn')],
    ['an SSRC of 0', (sdp: string) => sdp.replaceAll('1331146207', '0')],
    ['an SSRC of 33 bits', (sdp: string) => sdp.replaceAll('1331146207', '4294967296')],
    ['one SSRC for sound and picture', (sdp: string) => sdp.replaceAll('3691848684', '1331146207')],
    ['one mid for both', (sdp: string) => sdp.replace('a=mid:1', 'a=mid:0')],
    ['a password too short', (sdp: string) => sdp.replaceAll(/a=ice-pwd:.*/g, 'a=ice-pwd:short')],
    ['a control character', (sdp: string) => `${sdp}a=x:\u0000\r\n`],
    ['a line of 2,000 characters', (sdp: string) => `${sdp}a=x:${'y'.repeat(2000)}\r\n`],
    ['3,000 lines', (sdp: string) => `${sdp}${'a=x\r\n'.repeat(3000)}`],
    ['17 sections', (sdp: string) => `${sdp}${'m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n'.repeat(15)}`],
    ['more than 64 KiB', (sdp: string) => `${sdp}${`a=x:${'y'.repeat(1000)}\r\n`.repeat(66)}`],
    ['nothing', () => ''],
  ])('%s is refused', (_name, spoil) => {
    const error = refusal(spoil(offerOf('chromium-publish')));
    expect(error.code).toBe('bad-offer');
    expect(error.message).not.toMatch(/kwf9xdb6|AB:D7/);
  });

  test('line ends of LF alone are taken', () => {
    expect(read(offerOf('obs-publish').replaceAll('\r\n', '\n')).video?.codec).toBe('h264');
  });
});
