import { Codec, CodecContext, FFmpegError, Frame, Packet, Rational } from 'node-av';
import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_CODEC_ID_OPUS,
  AV_SAMPLE_FMT_FLTP,
  FF_ENCODER_AAC,
} from 'node-av/constants';
import { expect, test } from 'vitest';
import type { CodedAudio } from '../../../inference/live/coded-media.ts';
import { OpusTranscoder } from '../../../inference/live/opus-transcoder.ts';
import { EngineRun } from './engine-run.ts';

const TICKS_A_SECOND = 48_000;
const SAMPLES = 1024;
/** ±1 ms. */
const ACCURACY_TICKS = 48;
/** Clicks are this far apart: longer than any codec's smearing. */
const CLICK_EVERY_SECONDS = 0.25;

/** AAC of a stereo signal that is silent but for a short burst at each multiple of a quarter second, with its times. */
async function makeAac(rate: number, seconds: number): Promise<{ config: Uint8Array; packets: CodedAudio[] }> {
  const codec = Codec.findEncoderByName(FF_ENCODER_AAC)!;
  const context = new CodecContext();
  context.allocContext3(codec);
  context.sampleRate = rate;
  context.sampleFormat = AV_SAMPLE_FMT_FLTP;
  context.channelLayout = AV_CHANNEL_LAYOUT_STEREO;
  context.bitRate = 192_000n;
  context.timeBase = new Rational(1, rate);
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
  FFmpegError.throwIfError(await context.open2(codec, null), 'open AAC');
  const packets: CodedAudio[] = [];
  const packet = new Packet();
  packet.alloc();
  for (let at = 0; at < seconds * rate; at += SAMPLES) {
    const frame = new Frame();
    frame.alloc();
    Object.assign(frame, {
      nbSamples: SAMPLES,
      format: AV_SAMPLE_FMT_FLTP,
      sampleRate: rate,
      channelLayout: AV_CHANNEL_LAYOUT_STEREO,
    });
    FFmpegError.throwIfError(frame.getBuffer(), 'allocate');
    for (const plane of frame.data!.slice(0, 2)) {
      const samples = new Float32Array(plane.buffer, plane.byteOffset, SAMPLES);
      for (let i = 0; i < SAMPLES; i++) {
        const t = ((at + i) / rate) % CLICK_EVERY_SECONDS;
        samples[i] = t < 0.004 ? 0.8 * Math.sin(2 * Math.PI * 1500 * t) : 0;
      }
    }
    frame.pts = BigInt(at);
    FFmpegError.throwIfError(context.sendFrameSync(frame), 'encode AAC');
    frame.free();
    while (context.receivePacketSync(packet) >= 0) {
      // FFmpeg's encoder tells of its delay by times before zero; a decoder gives that delay back.
      packets.push({
        data: new Uint8Array(packet.data!),
        pts: Math.round((Number(packet.pts) * TICKS_A_SECOND) / rate),
      });
      packet.unref();
    }
  }
  const config = new Uint8Array(context.extraData!);
  packet.free();
  context.freeContext();
  return { config, packets };
}

/** When the bursts are heard, in seconds of the packets' own times. */
function clicksIn(packets: readonly CodedAudio[]): number[] {
  const codec = Codec.findDecoder(AV_CODEC_ID_OPUS)!;
  const context = new CodecContext();
  context.allocContext3(codec);
  context.sampleRate = TICKS_A_SECOND;
  context.channelLayout = AV_CHANNEL_LAYOUT_STEREO;
  FFmpegError.throwIfError(context.open2Sync(codec, null), 'open Opus');
  const packet = new Packet();
  packet.alloc();
  const frame = new Frame();
  frame.alloc();
  const clicks: number[] = [];
  for (const { data, pts } of packets) {
    packet.data = Buffer.from(data);
    FFmpegError.throwIfError(context.sendPacketSync(packet), 'decode Opus');
    packet.unref();
    while (context.receiveFrameSync(frame) >= 0) {
      const plane = frame.data![0]!;
      const left = new Float32Array(plane.buffer, plane.byteOffset, frame.nbSamples);
      for (let i = 0; i < left.length; i++) {
        const seconds = (pts + i) / TICKS_A_SECOND;
        if (Math.abs(left[i]!) > 0.25 && seconds - (clicks.at(-1) ?? -1) > CLICK_EVERY_SECONDS / 2)
          clicks.push(seconds);
      }
      frame.unref();
    }
  }
  packet.free();
  frame.free();
  context.freeContext();
  return clicks;
}

/** The burst crosses a third of its height some samples after it began, and codecs smear its edge by some more. */
const ONSET_MS = 1.5;

function expectOnTime(clicks: readonly number[]): void {
  for (const click of clicks) {
    const late = click - Math.round(click / CLICK_EVERY_SECONDS) * CLICK_EVERY_SECONDS;
    expect(Math.abs(late) * 1000).toBeLessThan(ONSET_MS);
  }
}

test.each([48_000, 44_100])('AAC of %i Hz is heard at the times it came with', async (rate) => {
  const { config, packets } = await makeAac(rate, 3);
  const opus = OpusTranscoder.open({ codec: 'aac', config });
  const coded = packets.flatMap((packet) => opus.transcode(packet));
  opus.close();
  expect(coded.length).toBeGreaterThan(3 * 50 - 8);
  for (let i = 1; i < coded.length; i++) {
    expect(Math.abs(coded[i]!.pts - coded[i - 1]!.pts - 960)).toBeLessThanOrEqual(ACCURACY_TICKS);
  }
  const clicks = clicksIn(coded);
  expect(clicks.length).toBeGreaterThanOrEqual(10);
  expectOnTime(clicks);
});

test('times rounded to milliseconds, as RTMP has them, give an even stream', async () => {
  const { config, packets } = await makeAac(44_100, 5);
  const opus = OpusTranscoder.open({ codec: 'aac', config });
  const rounded = packets.map(({ data, pts }) => ({ data, pts: Math.floor(pts / 48) * 48 }));
  const coded = rounded.flatMap((packet) => opus.transcode(packet));
  opus.close();
  for (let i = 1; i < coded.length; i++) {
    expect(Math.abs(coded[i]!.pts - coded[i - 1]!.pts - 960)).toBeLessThanOrEqual(2 * ACCURACY_TICKS);
  }
  expectOnTime(clicksIn(coded).slice(1));
});

test('after a gap in the source times go on where the source does', async () => {
  const { config, packets } = await makeAac(48_000, 4);
  const opus = OpusTranscoder.open({ codec: 'aac', config });
  const gap = packets.filter(({ pts }) => pts < 1.1 * TICKS_A_SECOND || pts > 2.3 * TICKS_A_SECOND);
  const coded = gap.flatMap((packet) => opus.transcode(packet));
  opus.close();
  const times = coded.map(({ pts }) => pts);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(times.filter((pts) => pts > 1.15 * TICKS_A_SECOND && pts < 2.25 * TICKS_A_SECOND)).toEqual([]);
  const clicks = clicksIn(coded);
  expect(clicks.some((click) => click > 2.4)).toBe(true);
  expectOnTime(clicks);
});

test('rubbish between packets costs those packets and no more', async () => {
  const { config, packets } = await makeAac(48_000, 3);
  const opus = OpusTranscoder.open({ codec: 'aac', config });
  const coded = packets.flatMap(({ data, pts }, i) =>
    opus.transcode({ data: i % 40 === 20 ? new Uint8Array(data.length).fill(0xff) : data, pts }),
  );
  opus.close();
  expect(coded.length).toBeGreaterThan(120);
  // A burst may fall into what was lost; those that are heard are heard on time.
  expectOnTime(clicksIn(coded));
});

test('an engine hands sound on without waiting for pictures', async () => {
  const { config, packets } = await makeAac(48_000, 1);
  const run = await EngineRun.start({ audio: { codec: 'aac', config } });
  try {
    for (const packet of packets) run.engine.pushAudio(packet);
    expect(await run.until(() => run.audio.length >= 45, 2000)).toBe(true);
    expectOnTime(clicksIn(run.audio));
  } finally {
    await run.engine.close();
  }
});
