import { describe, expect, test } from 'vitest';
import { isPublicAddress, type Lookup, resolvePublicAddress } from '../../../sfu/address-guard.ts';
import { RemoteUrl } from '../../../sfu/pull/remote-url.ts';

const PUBLIC = [
  '93.184.216.34',
  '8.8.8.8',
  '1.1.1.1',
  '172.15.0.1',
  '172.32.0.1',
  '100.63.0.1',
  '2606:4700::1111',
  '2a00:1450::1',
];
const NOT_PUBLIC = [
  ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.0.1', '169.254.169.254'],
  ...[
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
  ],
  ...['203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
  ...[
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:a00:1',
    '::127.0.0.1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
  ],
  ...[
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    'fc00::1',
    'fd12::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
  ],
];

const answering =
  (...addresses: string[]): Lookup =>
  async () =>
    addresses.map((address) => ({ address }));
const never: Lookup = () => Promise.reject(new Error('nothing is looked up'));

test.each(PUBLIC)('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each(NOT_PUBLIC)('%s is not', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

describe('a host', () => {
  test.each([
    ...['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001', '１２７.0.0.1'],
    ...[
      '[::1]',
      '::1',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[0:0:0:0:0:0:0:1]',
      '%31%32%37.0.0.1',
      '169.254.169.254',
    ],
  ])('written as %s is refused as what it is', async (host) => {
    await expect(resolvePublicAddress(host, { allowPrivate: false, lookup: never })).rejects.toMatchObject({
      code: 'source-refused',
    });
  });

  test.each(['', 'a b', 'a/b', 'user@127.0.0.1', 'a:80', '256.256.256.256', '[::1', 'fe80::1%eth0'])(
    'that is none (%j) is refused',
    async (host) => {
      await expect(resolvePublicAddress(host, { allowPrivate: true, lookup: never })).rejects.toMatchObject({
        code: 'source-refused',
      });
    },
  );

  test('with one private address among public ones is refused', async () => {
    const lookup = answering('93.184.216.34', '10.0.0.7');
    await expect(resolvePublicAddress('a.example', { allowPrivate: false, lookup })).rejects.toMatchObject({
      code: 'source-refused',
    });
    expect(await resolvePublicAddress('a.example', { allowPrivate: true, lookup })).toBe('93.184.216.34');
  });

  test('that is public is pinned, by IPv4 where it has that', async () => {
    const lookup = answering('2606:4700::1111', '93.184.216.34');
    expect(await resolvePublicAddress('a.example', { allowPrivate: false, lookup })).toBe('93.184.216.34');
    expect(await resolvePublicAddress('8.8.8.8', { allowPrivate: false, lookup: never })).toBe('8.8.8.8');
    expect(await resolvePublicAddress('[2606:4700::1111]', { allowPrivate: false, lookup: never })).toBe(
      '2606:4700::1111',
    );
  });

  test.each([
    ['fails to resolve', never],
    ['resolves to nothing', answering()],
    ['resolves to what is no address', answering('a.example')],
  ])('that %s is unreachable', async (_, lookup) => {
    await expect(resolvePublicAddress('a.example', { allowPrivate: false, lookup })).rejects.toMatchObject({
      code: 'source-unreachable',
    });
  });

  test('named localhost resolves to loopback on this machine, and is refused', async () => {
    await expect(resolvePublicAddress('localhost', { allowPrivate: false })).rejects.toMatchObject({
      code: 'source-refused',
    });
  });
});

describe('a remote URL', () => {
  test.each([
    ...[
      'http://a.example/x',
      'file:///etc/passwd',
      'concat:rtsp://a',
      'rtsp:///x',
      'rtmps://a.example/x',
      'tcp://a:1',
      'x',
    ],
    ...['rtsp://a.example:0/x', 'rtsp://a b/x', ''],
  ])('%s is refused, and not repeated', (text) => {
    expect(() => RemoteUrl.parse(text, ['rtsp', 'rtmp'])).toThrow('not a URL of rtsp:// or rtmp://');
  });

  test('without end is refused', () => {
    expect(() => RemoteUrl.parse(`rtsp://a.example/${'x'.repeat(3000)}`, ['rtsp'])).toThrow('not a URL of rtsp://');
  });

  test('keeps credentials, path and query through the relay, and shows none of them', () => {
    const rtsp = RemoteUrl.parse('rtsp://user:p%40ss@cam.example:8554/a/b?c=d', ['rtsp']);
    expect(rtsp.through(4000).url).toBe('rtsp://user:p%40ss@127.0.0.1:4000/a/b?c=d');
    expect(rtsp.label).toBe('rtsp://cam.example');
    expect([rtsp.hostname, rtsp.port]).toEqual(['cam.example', 8554]);
    expect(RemoteUrl.parse('rtsp://cam.example', ['rtsp']).port).toBe(554);
  });

  test.each([
    ['rtmp://a.example/live/key', 'live', 'key', 'rtmp://a.example/live'],
    ['rtmp://a.example:1936/live/cam?key=a/b', 'live', 'cam?key=a/b', 'rtmp://a.example:1936/live'],
    ['rtmp://a.example/app/instance/key', 'app/instance', 'key', 'rtmp://a.example/app/instance'],
    ['rtmp://a.example/live', 'live', '', 'rtmp://a.example/live'],
  ])('%s has its app and its stream', (text, app, playpath, tcUrl) => {
    expect(RemoteUrl.parse(text, ['rtmp']).through(4000)).toEqual({
      url: 'rtmp://127.0.0.1:4000/',
      options: { rtmp_app: app, rtmp_playpath: playpath, rtmp_tcurl: tcUrl },
    });
  });
});
