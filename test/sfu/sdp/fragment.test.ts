import { describe, expect, test } from 'vitest';
import { buildFragment, readFragment } from '../../../sfu/sdp/fragment.ts';

/** The example of RFC 9725 §4.3.2, with a name and an unknown transport added. */
const TRICKLE = [
  'a=group:BUNDLE 0 1',
  'a=ice-ufrag:EsAw',
  'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
  'm=audio 9 UDP/TLS/RTP/SAVPF 0',
  'a=mid:0',
  'a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1',
  'a=candidate:3471623853 1 UDP 2122194687 a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6.local 61765 typ host',
  'a=candidate:473322822 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active generation 0',
  'a=candidate:473322823 1 sctp 1518280447 192.0.2.1 9 typ host',
  'a=end-of-candidates',
  '',
].join('\r\n');

const refused = (text: string) =>
  expect(() => readFragment(text)).toThrow(expect.objectContaining({ name: 'SfuError', code: 'bad-fragment' }));

test('a trickled fragment is read: credentials, mids, candidates of known transports', () => {
  expect(readFragment(TRICKLE)).toEqual({
    iceParameters: { usernameFragment: 'EsAw', password: 'P2uYro0UCOQ4zxjKXaWCBui1' },
    mids: ['0'],
    candidates: [
      { mid: '0', transport: 'udp', address: '192.0.2.1', port: 61764 },
      { mid: '0', transport: 'udp', address: 'a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6.local', port: 61765 },
      { mid: '0', transport: 'tcp', address: '2001:db8::1', port: 9 },
    ],
  });
});

test('an ICE restart is credentials alone, also within a section, also of digits', () => {
  expect(readFragment('a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n').candidates).toEqual([]);
  const within = 'm=audio 9 RTP/AVP 0\na=mid:0\na=ice-ufrag:1234\na=ice-pwd:1234567890123456789012\n';
  expect(readFragment(within).iceParameters).toEqual({
    usernameFragment: '1234',
    password: '1234567890123456789012',
  });
});

describe('refused is', () => {
  test.each([
    ['nothing', ''],
    ['a fragment without credentials', 'm=audio 9 RTP/AVP 0\r\na=mid:0\r\n'],
    ['one without a password', 'a=ice-ufrag:ysXw\r\n'],
    [
      'credentials of two sessions',
      `${TRICKLE}m=video 9 RTP/AVP 0\r\na=mid:1\r\na=ice-ufrag:Othr\r\na=ice-pwd:${'x'.repeat(22)}\r\n`,
    ],
    ['a section without mid', TRICKLE.replace('a=mid:0\r\n', '')],
    ['the same mid twice', `${TRICKLE}m=audio 9 RTP/AVP 0\r\na=mid:0\r\n`],
    ['a candidate that is none', TRICKLE.replace(/a=candidate:1387637174 .*/, 'a=candidate:1387637174 one udp')],
    ['a port of 17 bits', TRICKLE.replace('61764', '70000')],
    ['an address of spaces and quotes', TRICKLE.replace('192.0.2.1', '<script>')],
    ['more than 256 candidates', TRICKLE + TRICKLE.match(/a=candidate:1387.*\r\n/)![0].repeat(257)],
    ['more than 64 KiB', TRICKLE + 'a=x:1234567\r\n'.repeat(6000)],
  ])('%s', (_name, text) => refused(text));
});

test('the answer to a restart says the new credentials and the candidates, and can be read again', () => {
  const text = buildFragment(
    { usernameFragment: 'newufrag', password: 'new0password0of0ice0lite', iceLite: true },
    [
      {
        foundation: 'u',
        priority: 9,
        ip: '192.0.2.1',
        address: '192.0.2.1',
        protocol: 'udp',
        port: 40000,
        type: 'host',
      },
      {
        foundation: 't',
        priority: 8,
        ip: '192.0.2.1',
        address: '192.0.2.1',
        protocol: 'tcp',
        port: 40000,
        type: 'host',
        tcpType: 'passive',
      },
    ],
    [
      { kind: 'audio', mid: 'a' },
      { kind: 'video', mid: 'v' },
    ],
  );
  expect(text.split('\r\n')).toEqual([
    'a=ice-lite',
    'a=ice-ufrag:newufrag',
    'a=ice-pwd:new0password0of0ice0lite',
    'a=group:BUNDLE a v',
    'm=audio 9 UDP/TLS/RTP/SAVPF 0',
    'a=mid:a',
    'a=candidate:u 1 udp 9 192.0.2.1 40000 typ host',
    'a=candidate:t 1 tcp 8 192.0.2.1 40000 typ host tcptype passive',
    'a=end-of-candidates',
    '',
  ]);
  expect(readFragment(text)).toMatchObject({ mids: ['a'], iceParameters: { usernameFragment: 'newufrag' } });
});
