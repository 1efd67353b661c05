import { describe, expect, test } from 'vitest';
import type { CodedAudio, CodedVideo } from '../../../inference/live/coded-media.ts';
import { readAacTiming } from '../../../sfu/rtmp/audio-specific-config.ts';
import { parameterSetsOf, readAccessUnit, readAnnexB, readAvcConfig } from '../../../sfu/rtmp/avc.ts';
import { FlvTracks } from '../../../sfu/rtmp/flv-tracks.ts';
import { AudioClock, TimestampUnwrapper } from '../../../sfu/rtmp/rtmp-timestamps.ts';

const SPS = [0x67, 66, 0, 30];
const PPS = [0x68, 0xce];
const IDR = [0x65, 1, 2, 3];
const SLICE = [0x41, 9];
/** AVCDecoderConfigurationRecord with lengths of four bytes. */
const RECORD = [1, 66, 0, 30, 0xff, 0xe1, 0, SPS.length, ...SPS, 1, 0, PPS.length, ...PPS];
/** AAC-LC, 44.1 kHz, stereo. */
const AAC_CONFIG = [0x12, 0x10];

const unit = (bytes: readonly number[]): number[] => [0, 0, 0, bytes.length, ...bytes];
const startCoded = (...units: readonly (readonly number[])[]): Uint8Array =>
  Uint8Array.from(units.flatMap((bytes) => [0, 0, 0, 1, ...bytes]));

class Heard {
  readonly video: CodedVideo[] = [];
  readonly audio: CodedAudio[] = [];
  broken = 0;
  readonly unknown: string[] = [];
  readonly tracks = new FlvTracks({
    onVideo: (frame) => this.video.push(frame),
    onAudio: (packet) => this.audio.push(packet),
    onBroken: () => this.broken++,
    onUnknownAudio: (what) => this.unknown.push(what),
  });

  sendVideo(timeMs: number, ...bytes: number[]): void {
    this.tracks.video(timeMs, Buffer.from(bytes));
  }

  sendAudio(timeMs: number, ...bytes: number[]): void {
    this.tracks.audioTag(timeMs, Buffer.from(bytes));
  }
}

describe('pictures', () => {
  test('get SPS and PPS before an IDR that lacks them, and their offset in time, forward and back', () => {
    const heard = new Heard();
    heard.sendVideo(0, 0x17, 0, 0, 0, 0, ...RECORD);
    expect(heard.tracks.hasVideo).toBe(true);
    heard.sendVideo(100, 0x17, 1, 0, 0, 40, ...unit(IDR));
    heard.sendVideo(133, 0x27, 1, 0xff, 0xff, 0xf6, ...unit([9, 0xf0]), ...unit(SLICE));
    heard.sendVideo(166, 0x17, 1, 0, 0, 0, ...unit(SPS), ...unit(PPS), ...unit(IDR));
    expect(heard.video).toEqual([
      { data: startCoded(SPS, PPS, IDR), pts: 140 * 90, isKeyframe: true },
      { data: startCoded(SLICE), pts: 123 * 90, isKeyframe: false },
      { data: startCoded(SPS, PPS, IDR), pts: 166 * 90, isKeyframe: true },
    ]);
  });

  test('that can not be read are a loss: before the header, cut short, of a length beyond the end, empty', () => {
    const heard = new Heard();
    heard.sendVideo(0, 0x17, 1, 0, 0, 0, ...unit(IDR));
    heard.sendVideo(0, 0x17, 0, 0, 0, 0, ...RECORD);
    heard.sendVideo(0, 0x17, 1, 0);
    heard.sendVideo(0, 0x17, 1, 0, 0, 0, 0, 0, 0, 200, 0x65);
    heard.sendVideo(0, 0x17, 1, 0, 0, 0, 0, 0, 1);
    heard.sendVideo(0, 0x17, 1, 0, 0, 0);
    expect(heard.broken).toBe(5);
    expect(heard.video).toEqual([]);
  });

  test('of Enhanced RTMP are taken when they are H.264, and end the publish when not', () => {
    const heard = new Heard();
    heard.sendVideo(0, 0x90, ...Buffer.from('avc1'), ...RECORD);
    heard.sendVideo(10, 0x91, ...Buffer.from('avc1'), 0, 0, 5, ...unit(IDR));
    heard.sendVideo(20, 0xa3, ...Buffer.from('avc1'), ...unit(SLICE));
    expect(heard.video.map(({ pts, isKeyframe }) => [pts, isKeyframe])).toEqual([
      [15 * 90, true],
      [20 * 90, false],
    ]);
    expect(() => heard.sendVideo(30, 0x90, ...Buffer.from('hvc1'), 1)).toThrow('video is hvc1; only H.264');
    expect(() => heard.sendVideo(30, 0x12, 0)).toThrow('FLV codec 2; only H.264');
    expect(() => heard.sendVideo(30, 0x17, 0, 0, 0, 0, 1, 2)).toThrow('can not be read');
  });

  test('go on in time where 32 bits wrap', () => {
    const heard = new Heard();
    heard.sendVideo(0, 0x17, 0, 0, 0, 0, ...RECORD);
    for (const ms of [0xffffffff - 33, 0xffffffff, 32]) heard.sendVideo(ms, 0x27, 1, 0, 0, 0, ...unit(SLICE));
    const [first, second, third] = heard.video.map(({ pts }) => pts / 90);
    expect([second! - first!, third! - second!]).toEqual([33, 33]);
  });
});

describe('sound', () => {
  test('follows by its own length, and jumps only where the container tells of a gap', () => {
    const heard = new Heard();
    heard.sendAudio(0, 0xaf, 0, ...AAC_CONFIG);
    expect(heard.tracks.audio).toEqual({ codec: 'aac', config: Uint8Array.from(AAC_CONFIG) });
    for (const ms of [0, 23, 46, 70, 93, 616]) heard.sendAudio(ms, 0xaf, 1, 0x21, 0x10);
    expect(heard.audio.map(({ pts }) => pts)).toEqual([0, 1115, 2229, 3344, 4458, 616 * 48]);
    expect(heard.audio[0]!.data).toEqual(Uint8Array.of(0x21, 0x10));
  });

  test('is left out, once said, when it is not AAC or its header is damaged', () => {
    const heard = new Heard();
    for (const ms of [0, 20]) heard.sendAudio(ms, 0x2f, 1, 2, 3);
    heard.sendAudio(30, 0xaf, 0, 0x12);
    heard.sendAudio(40, 0xaf, 1, 9);
    expect(heard.unknown).toEqual(['FLV sound format 2']);
    expect(heard.audio).toEqual([]);
    expect(heard.tracks.hasUnknownAudio).toBe(true);
  });

  test('that changes its format ends the publish', () => {
    const heard = new Heard();
    heard.sendAudio(0, 0xaf, 0, ...AAC_CONFIG);
    heard.sendAudio(0, 0xaf, 0, ...AAC_CONFIG);
    expect(() => heard.sendAudio(10, 0xaf, 0, 0x11, 0x90)).toThrow('changed its format');
  });
});

test('a clock of sound never stands still or goes back', () => {
  const clock = new AudioClock(1024, 48_000);
  const times = [100, 121, 20, 41, 41, 41, 10_000].map((ms) => clock.next(ms));
  times.forEach((time, index) => {
    if (index > 0) expect(time).toBeGreaterThan(times[index - 1]!);
  });
  expect(times.at(-1)).toBe(480_000);
});

test('timestamps unwrap over and over, and may go back a little', () => {
  const unwrapper = new TimestampUnwrapper();
  const told = [4_000_000_000, 4_294_967_290, 10, 5, 2_000_000_000, 4_000_000_000, 100];
  const times = told.map((one) => unwrapper.unwrap(one));
  expect(times).toEqual([
    4_000_000_000,
    4_294_967_290,
    2 ** 32 + 10,
    2 ** 32 + 5,
    2 ** 32 + 2_000_000_000,
    2 ** 32 + 4_000_000_000,
    2 * 2 ** 32 + 100,
  ]);
});

test.each([
  ['LC, 44.1 kHz', [0x12, 0x10], { sampleRate: 44_100, samplesPerFrame: 1024 }],
  ['LC, 48 kHz, 960 samples', [0x11, 0x94], { sampleRate: 48_000, samplesPerFrame: 960 }],
  ['HE, 22.05 kHz before its doubling', [0x2b, 0x92, 0x08, 0x00], { sampleRate: 22_050, samplesPerFrame: 1024 }],
  ['a rate in full', [0x17, 0x80, 0x56, 0x22, 0x10], { sampleRate: 44_100, samplesPerFrame: 1024 }],
  ['a rate that is reserved', [0x16, 0x90], null],
  ['nothing', [], null],
])('the head of an AudioSpecificConfig: %s', (_, config, timing) => {
  expect(readAacTiming(Uint8Array.from(config))).toEqual(timing);
});

describe('H.264 in records and start codes', () => {
  test('no cut of a record, and no changed byte, is read beyond its end', () => {
    for (let length = 0; length < RECORD.length; length++) {
      expect(readAvcConfig(Uint8Array.from(RECORD.slice(0, length)))).toBeNull();
    }
    for (let at = 0; at < RECORD.length; at++) {
      for (let value = 0; value < 256; value++) {
        const config = readAvcConfig(Uint8Array.from(RECORD, (byte, index) => (index === at ? value : byte)));
        if (config) expect(config.parameterSets.length).toBeLessThanOrEqual(RECORD.length);
      }
    }
  });

  test('lengths of one and two bytes, and start codes of three, are read too', () => {
    const config = { lengthSize: 1, parameterSets: startCoded(SPS, PPS) };
    expect(readAccessUnit(Uint8Array.of(2, ...SLICE), config)?.data).toEqual(startCoded(SLICE));
    expect(readAccessUnit(Uint8Array.of(0, 2, ...SLICE), { ...config, lengthSize: 2 })?.data).toEqual(
      startCoded(SLICE),
    );
    const short = Uint8Array.of(0, 0, 1, ...IDR, 0, 0, 0, 1, ...SLICE);
    expect(readAnnexB(short, config.parameterSets)).toEqual({
      data: startCoded(SPS, PPS, IDR, SLICE),
      isKeyframe: true,
    });
    expect(readAnnexB(Uint8Array.of(1, 2, 3), config.parameterSets)).toBeNull();
  });

  test('parameter sets are found where both are there', () => {
    expect(parameterSetsOf(startCoded(SPS, PPS, IDR))).toEqual(startCoded(SPS, PPS));
    expect(parameterSetsOf(startCoded(SPS, IDR))).toEqual(new Uint8Array());
  });
});
