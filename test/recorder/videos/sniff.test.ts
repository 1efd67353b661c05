import { expect, test } from 'vitest';
import { looksLikeVideo, SNIFFED_BYTES } from '../../../recorder/videos/sniff.ts';

const padded = (head: Buffer) => Buffer.concat([head, Buffer.alloc(SNIFFED_BYTES - head.length)]);
const text = (head: string) => padded(Buffer.from(head, 'latin1'));

function packets(bytes: number, at: number): Buffer {
  const head = Buffer.alloc(SNIFFED_BYTES, 1);
  for (let sync = at; sync < head.length; sync += bytes) head[sync] = 0x47;
  return head;
}

test.each([
  ['MP4', text('\0\0\0\x20ftypisom')],
  ['QuickTime without a type', text('\0\0\0\x08wide\0\0\0\0mdat')],
  ['Matroska', padded(Buffer.from('1a45dfa3', 'hex'))],
  ['AVI', text('RIFF\x01\x02\x03\x04AVI LIST')],
  ['FLV', text('FLV\x01\x05')],
  ['Ogg', text('OggS\0')],
  ['GIF', text('GIF89a')],
  ['ASF', padded(Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'))],
  ['a transport stream', packets(188, 0)],
  ['a transport stream of a camera', packets(192, 4)],
  ['a program stream', padded(Buffer.from('000001ba', 'hex'))],
  ['H.264 as it is', padded(Buffer.from('0000000167', 'hex'))],
])('%s may be a video', (_, head) => {
  expect(looksLikeVideo(head)).toBe(true);
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['too little', Buffer.from('\0\0\0\x20ftyp', 'latin1')],
  ['zeros', Buffer.alloc(SNIFFED_BYTES)],
  ['a zip', text('PK\x03\x04')],
  ['an HLS playlist', text('#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd')],
  ['a list for the concat demuxer', text("ffconcat version 1.0\nfile '/etc/passwd'")],
  ['a DASH manifest', text('<?xml version="1.0"?><MPD>')],
  ['an SDP', text('v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n')],
  ['a WAV', text('RIFF\x01\x02\x03\x04WAVEfmt ')],
  ['a JPEG', padded(Buffer.from('ffd8ffe0', 'hex'))],
  ['a packet that no other follows', Buffer.concat([Buffer.from([0x47]), Buffer.alloc(SNIFFED_BYTES - 1)])],
  ['a program', padded(Buffer.from('7f454c46', 'hex'))],
])('%s is no video', (_, head) => {
  expect(looksLikeVideo(head)).toBe(false);
});
