import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { RtmpPush } from '../../../sfu/push/rtmp-push.ts';
import { isAlive } from '../../clips/processes.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { freePort } from '../pull/free-port.ts';
import { FfmpegProcess } from '../rtmp/ffmpeg-process.ts';
import { adts, audioSeconds, packetsOf, pictureHashes } from '../rtmp/media-clip.ts';
import { RecordingSink } from '../rtmp/recording-sink.ts';
import { KEY, RtmpDoor } from '../rtmp/rtmp-door.ts';
import { until } from '../rtmp/until.ts';
import { PushUnderTest } from './push-under-test.ts';
import { asRedacted, makeRedactedClip, type RedactedClip } from './redacted-clip.ts';
import { Way } from './way.ts';

const folder = temporaryFolder();
const source = join(folder, 'clip.mkv');
const SECONDS = 4;
let clip: RedactedClip;

beforeAll(async () => {
  clip = await makeRedactedClip(source, SECONDS);
});

/** FLV's times are whole ms; two of them are compared. */
const ROUNDING_S = 0.002;
/** One AAC frame, and the priming that is left out. */
const LIP_SYNC_S = 0.045;
/** Sound from before the first picture that was pushed, and what the encoder still held at the end. */
const SOUND_EDGES_S = 0.2;
/** How long the push may take to connect, in a process that it starts first: the pictures until then are not pushed. */
const CONNECT_S = 2;

/** Type 3, chunk stream 3 (RTMP 1.0 §5.3.1.2.4). */
const CHUNK_HEADER = '\xc3';

/** An RTMP server made of ffmpeg, which writes what it gets to a file. */
async function listener(port: number, name: string): Promise<{ file: string; process: FfmpegProcess }> {
  const file = join(folder, name);
  const process = await FfmpegProcess.start(
    '-listen',
    '1',
    '-i',
    `rtmp://127.0.0.1:${port}/live/cam`,
    '-c',
    'copy',
    '-f',
    'flv',
    file,
  );
  return { file, process };
}

describe('a push', () => {
  test('arrives at an ffmpeg as the pictures that were pushed, with sound in step', async () => {
    const port = await freePort();
    const target = await listener(port, 'pushed.flv');
    const pushed = new PushUnderTest(`rtmp://127.0.0.1:${port}/live/cam`, {
      backoff: { firstMs: 50, maxMs: 100, steadyMs: 1 },
    });
    await pushed.feed(clip, 2);
    await pushed.push.close();
    expect(await target.process.exited()).toBe(0);
    expect(pushed.lives).toBe(1);
    expect(pushed.keyframesAsked).toBeGreaterThanOrEqual(1);

    const sent = new Set(await pictureHashes(source));
    const hashes = await pictureHashes(target.file);
    expect(hashes.length / 30).toBeGreaterThan(2 * SECONDS - CONNECT_S);
    expect(hashes.filter((hash) => !sent.has(hash))).toEqual([]);

    const video = await packetsOf(target.file, 'v');
    const audio = await packetsOf(target.file, 'a');
    expect(video[0]!.keyframe).toBe(true);
    const steps = video.slice(1).map(({ pts }, index) => pts - video[index]!.pts);
    expect(steps.filter((step) => Math.abs(step - 1 / 30) > ROUNDING_S)).toEqual([]);
    expect(Math.abs(video[0]!.pts - audio[0]!.pts)).toBeLessThan(LIP_SYNC_S);
    expect(Math.abs((await audioSeconds(target.file)) - hashes.length / 30)).toBeLessThan(SOUND_EDGES_S);
  });

  test('arrives at our own door byte for byte, and says goodbye', async () => {
    const door = await RtmpDoor.open();
    const pushed = new PushUnderTest(door.url('cam'));
    const fed = pushed.feed(clip, 2);
    const { source: received } = await door.nextPublish();
    expect(received).toMatchObject({ video: 'h264', audio: { codec: 'aac' } });
    const sink = RecordingSink.of(received);
    await fed;
    await pushed.push.close();
    expect((await sink.end()).end).toBe('publisher-left');
    const bytes = new Set(clip.video.map(({ data }) => Buffer.from(data).toString('base64')));
    expect(sink.video.length / 30).toBeGreaterThan(2 * SECONDS - CONNECT_S);
    expect(sink.video.filter(({ data }) => !bytes.has(Buffer.from(data).toString('base64')))).toEqual([]);
    const config = received.audio?.codec === 'aac' ? received.audio.config : new Uint8Array();
    const file = join(folder, 'pushed.aac');
    await writeFile(
      file,
      adts(
        config,
        sink.audio.map(({ data }) => data),
      ),
    );
    expect(Math.abs((await audioSeconds(file)) - sink.video.length / 30)).toBeLessThan(SOUND_EDGES_S);
    expect(JSON.stringify([pushed.logged, pushed.statuses])).not.toContain(KEY);
  });

  test('tells the target the name that it was given, not that of what stands between', async () => {
    const door = await RtmpDoor.open();
    const way = await Way.to(door.server.port);
    const pushed = new PushUnderTest(`rtmp://target.example:${way.port}/live/cam?key=${KEY}`, {
      lookup: async () => [{ address: '127.0.0.1' }],
    });
    void pushed.feed(clip);
    await door.nextPublish();
    // Every 128 bytes the next chunk's header stands between.
    const said = way.said.replaceAll(CHUNK_HEADER, '');
    expect(said.match(/rtmp:\/\/[^/]*\/live/g)).toEqual([`rtmp://target.example:${way.port}/live`]);
    expect(said.includes('127.0.0.1')).toBe(false);
    expect(door.asked).toEqual([{ streamId: 'cam', key: KEY }]);
  });

  test('goes on through another size of picture', async () => {
    const door = await RtmpDoor.open();
    const other = await makeRedactedClip(join(folder, 'other.mkv'), 2, '160x120');
    const pushed = new PushUnderTest(door.url('cam'));
    const both = {
      video: [
        ...clip.video.slice(0, 90),
        ...other.video.map((frame) => asRedacted({ ...frame, pts: frame.pts + 270_000 })),
      ],
      audio: [],
    };
    const fed = pushed.feed(both, 1);
    const sink = RecordingSink.of((await door.nextPublish()).source);
    await fed;
    await pushed.push.close();
    await sink.end();
    const file = join(folder, 'sizes.h264');
    await writeFile(file, Buffer.concat(sink.video.map(({ data }) => data)));
    const small = new Set(await pictureHashes(join(folder, 'other.mkv')));
    const smallFile = join(folder, 'small.h264');
    await writeFile(smallFile, Buffer.concat(sink.video.slice(-60).map(({ data }) => data)));
    expect((await pictureHashes(smallFile)).filter((hash) => small.has(hash))).toHaveLength(60);
    expect(pushed.lives).toBe(1);
  });

  test('goes on when another publisher takes the stream over, its times elsewhere', async () => {
    const door = await RtmpDoor.open();
    const pushed = new PushUnderTest(door.url('cam'), {
      timelineMs: (kind, pts) => pts / (kind === 'video' ? 90 : 48),
    });
    const silent = { video: clip.video, audio: [] };
    const first = pushed.feed(silent, 1);
    const sink = RecordingSink.of((await door.nextPublish()).source);
    await first;
    const later = clip.video.map((frame) => asRedacted({ ...frame, pts: frame.pts + 90_000_000 }));
    for (const frame of later.slice(0, 40)) pushed.push.pushVideo(frame);
    await until(() => sink.video.length > 0 && (sink.video.at(-1)?.pts ?? 0) - sink.video[0]!.pts > 90_000, 'pictures');
    await pushed.push.close();
    await sink.end();
    const steps = sink.video.slice(1).map(({ pts }, index) => (pts - sink.video[index]!.pts) / 90);
    expect(Math.max(...steps)).toBeLessThan(1_000);
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(0);
  });
});

describe('a target', () => {
  test('that is absent is waited for, and pushed to when it is there', async () => {
    const port = await freePort();
    const pushed = new PushUnderTest(`rtmp://127.0.0.1:${port}/live/SECRET-KEY`);
    void pushed.feed(clip);
    await until(() => pushed.waits.length > 1, 'it waits');
    expect(pushed.waits[0]).toEqual({ state: 'waiting', reason: 'it refuses connections', fault: 'target' });
    const door = await RtmpDoor.open({ port, authorize: async () => true });
    await until(() => pushed.lives === 0 && door.asked.length === 0, 'nothing is live before', 100);
    await until(() => pushed.waits.length > 2, 'refused: it has no key');
    await door.server.close();
    await listener(port, 'late.flv');
    await until(() => pushed.lives === 1, 'live');
    expect(JSON.stringify([pushed.logged, pushed.statuses])).not.toContain('SECRET-KEY');
  });

  test('that dies in mid-stream and comes back gets the stream again, from a keyframe', async () => {
    const port = await freePort();
    const first = await listener(port, 'first.flv');
    const pushed = new PushUnderTest(`rtmp://127.0.0.1:${port}/live/cam`);
    void pushed.feed(clip);
    await until(() => pushed.lives === 1, 'live');
    const asked = pushed.keyframesAsked;
    await first.process.kill('SIGKILL');
    await until(() => pushed.waits.some(({ fault }) => fault === 'target'), 'it waits');
    const second = await listener(port, 'second.flv');
    await until(() => pushed.lives === 2, 'live again');
    expect(pushed.keyframesAsked).toBeGreaterThan(asked);
    await new Promise((fulfil) => setTimeout(fulfil, 1_500));
    await pushed.push.close();
    expect(await second.process.exited()).toBe(0);
    expect((await packetsOf(second.file, 'v'))[0]).toMatchObject({ keyframe: true });
    expect((await pictureHashes(second.file)).length).toBeGreaterThan(15);
  });

  // On a machine that stands still for a while the target is given up too soon: then once more.
  test('that is slow misses whole stretches up to a keyframe; one that reads no more is given up', {
    retry: 2,
  }, async () => {
    const door = await RtmpDoor.open();
    const way = await Way.to(door.server.port);
    const pushed = new PushUnderTest(door.url('cam').replace(String(door.server.port), String(way.port)), {
      stallTimeoutMs: STALL_MS,
    });
    const feeder = setInterval(() => pushHeavy(pushed.push), 1000 / 30);
    try {
      const sink = RecordingSink.of((await door.nextPublish()).source);
      await until(() => sink.video.length > 30, 'pictures');
      const asked = pushed.keyframesAsked;
      way.stop();
      await until(() => pushed.push.timesDropped > 0, 'what it does not take is dropped');
      way.go();
      await until(() => pushed.keyframesAsked > asked, 'a keyframe is asked for');
      await until(() => hasGap(sink), 'the stream goes on behind what was dropped');
      expect(pushed.lives).toBe(1);
      const numbers = sink.video.map(({ data }) => numberOf(data));
      numbers.forEach((number, index) => {
        if (index > 0 && number !== numbers[index - 1]! + 1) expect(sink.video[index]!.isKeyframe).toBe(true);
      });
      way.stop();
      await until(() => pushed.waits.length > 0, 'it is given up');
      expect(pushed.waits[0]).toEqual({
        state: 'waiting',
        reason: `it took nothing for ${STALL_MS} ms`,
        fault: 'target',
      });
    } finally {
      clearInterval(feeder);
    }
  });

  test('that refuses the key is the target’s fault', async () => {
    const door = await RtmpDoor.open();
    const pushed = new PushUnderTest(door.url('cam', 'wrong'));
    void pushed.feed(clip);
    await until(() => pushed.waits.length > 0, 'it waits');
    expect(pushed.waits[0]!.fault).toBe('target');
    expect(pushed.lives).toBe(0);
  });

  test('on loopback is refused unless private targets are allowed', async () => {
    const door = await RtmpDoor.open();
    const pushed = new PushUnderTest(door.url('cam'), { allowPrivate: false });
    await until(() => pushed.waits.length > 0, 'it waits');
    expect(pushed.waits[0]!.reason).toContain('not on the public Internet');
    expect(door.server.connections).toBe(0);
  });
});

test('the process of a push is killed with it; when it dies, that is our fault, and another takes its place', async () => {
  const door = await RtmpDoor.open();
  const pushed = new PushUnderTest(door.url('cam'));
  void pushed.feed(clip);
  await until(() => pushed.lives === 1, 'live');
  process.kill(pushed.push.pid!, 'SIGKILL');
  await until(() => pushed.lives === 2, 'live again');
  expect(pushed.waits[0]).toMatchObject({ fault: 'ours' });
  const pid = pushed.push.pid!;
  await pushed.push.close();
  expect(isAlive(pid)).toBe(false);
  expect(pushed.statuses.at(-1)?.state).toBe('closed');
});

test('a URL that is not rtmp:// is refused', () => {
  const options = {
    allowPrivate: true,
    timelineMs: () => 0,
    onKeyframeNeeded: () => undefined,
    onState: () => undefined,
  };
  expect(() => RtmpPush.create({ url: 'rtsp://a.example/x', log: {} as never, ...options })).toThrow(
    'not a URL of rtmp://',
  );
});

/** Longer than it takes to fill the way to a target that has stopped, on a busy machine too. */
const STALL_MS = 6_000;

/** 12 MB a second, so that a network that is stopped is full soon. */
const HEAVY_BYTES = 400_000;
let heavyNumber = 0;

/** A picture that is too heavy for any stream, with its number in it; every tenth is a keyframe. */
function pushHeavy(push: RtmpPush): void {
  const number = heavyNumber++;
  const isKeyframe = number % 10 === 0;
  const keyframe = isKeyframe ? clip.video[0]!.data : new Uint8Array();
  const slice = Buffer.alloc(HEAVY_BYTES, 0x55);
  // A reference slice of a P picture (H.264 §7.3.1); nobody decodes it.
  slice.set([0, 0, 0, 1, 0x41]);
  slice.write(String(number).padStart(9, '1'), 16, 'latin1');
  push.pushVideo(asRedacted({ data: Buffer.concat([keyframe, slice]), pts: 1e9 + number * 3_000, isKeyframe }));
}

function numberOf(data: Uint8Array): number {
  const slice = Buffer.from(data).subarray(-HEAVY_BYTES);
  return Number(slice.toString('latin1', 16, 25));
}

function hasGap({ video }: RecordingSink): boolean {
  return video.some(({ data }, index) => index > 0 && numberOf(data) !== numberOf(video[index - 1]!.data) + 1);
}
